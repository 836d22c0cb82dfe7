package names

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// An image name in another tool's syntax must give an error that suggests a working command.
func TestImageNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"there", "registry.example"} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The result must not depend on the storage or daemon of the machine.
	t.Setenv("DOCKER_HOST", "unix:///nonexistent")
	t.Setenv("CONTAINERS_STORAGE_CONF", "storage.conf")
	store := t.TempDir()
	for path, text := range map[string]string{
		"storage.conf":                        "[storage]\ndriver = \"overlay\"\ngraphroot = \"" + store + "\"\n",
		store + "/overlay-images/images.json": `[{"id":"0123","names":["localhost/podmans:latest"]}]`,
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	const from = "chunkah build --from"
	for _, test := range []struct{ name, take, want string }{
		{"app:latest", from, `"app:latest" is the name of an image: for a registry, write docker://app:latest; for podman's storage, write containers-storage:app:latest, and for Docker's docker-daemon:app:latest; ./app:latest is the directory with this name`},
		{"localhost/app:1", from, `"localhost/app:1" is the name of an image: for podman's storage, write containers-storage:localhost/app:1, and for Docker's docker-daemon:localhost/app:1`},
		{"podmans", from, `"podmans" is the name of an image: podman has it: chunkah build --from containers-storage:podmans; ./podmans is the directory with this name`},
		{"podmans:latest", "", `"podmans:latest" is the name of an image: podman has it: containers-storage:podmans:latest; for a registry, write docker://podmans:latest; ./podmans:latest is the directory with this name`},
		{"localhost:5000/app", from, `"localhost:5000/app" is the name of an image: for a registry, write docker://localhost:5000/app`},
		{"mirror.example/library/debian:12", from, `"mirror.example/library/debian:12" is the name of an image: for a registry, write docker://mirror.example/library/debian:12`},
		{"containers-storage:localhost/app:1", from, ""}, {"docker-daemon:app:1", from, ""}, {"tar:app", from, ""},
		{"rootfs", from, ""}, {"/srv/app:1", from, ""}, {"./app:1", from, ""}, {"there", from, ""}, {"a/b", from, ""}, {"oci:app:1", from, ""},
		{"docker://app:1", from, ""}, {"dir:app", from, ""}, {"oci-archive:app.tar", from, ""}, {"docker-archive:app.tar:app:1", from, ""}, {"", from, ""},
	} {
		got := ""
		if err := refuseImageName(test.name, test.take); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
	for name, want := range map[string]string{
		"localhost/app:x":                    `-o "localhost/app:x" is the name of an image: write it to podman's storage with -o containers-storage:localhost/app:x, to a Docker daemon with -o docker-daemon:localhost/app:x`,
		"mirror.example/app:x":               `-o "mirror.example/app:x" is the name of an image: write it to a registry with -o docker://mirror.example/app:x`,
		"app:x":                              `-o "app:x" is the name of an image: write it to a registry with -o docker://app:x, to podman's storage with -o containers-storage:app:x, to a Docker daemon with -o docker-daemon:app:x, -o ./app:x is the file with this name`,
		"containers-storage:localhost/app:x": "", "docker-daemon:app:x": "",
		"registry.example/out.tar": "", // a file in an existing directory
		"out.ociarchive":           "", "oci:out:1": "", "docker://app:1": "", "-": "", "./app:x": "", "there/app:1": "", "oci-archive:x:app:1": "", "docker-archive:-:app:1": "",
	} {
		got := ""
		if err := refuseOutputName(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("-o %q:\n got %s\nwant %s", name, got, want)
		}
	}
}
