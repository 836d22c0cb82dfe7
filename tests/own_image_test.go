package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
	"chunkah/tests/rpmroot"
)

// imageTasks are the command lines of the recipes. The shell in chunkah's image runs them in /srv.
// $TO is a repository, and app.oci is a compressed archive of the root in /chunkah. If same is set,
// the written file must have the same bytes as that file on the host.
var imageTasks = []struct {
	name, line string
	writes     string // a file
	same       string // a file with the same bytes; empty if the written file only has to be a valid image
}{
	{"a root to an archive", "chunkah build -t localhost/app:1 -o root.oci", "root.oci", "want.oci"},
	{"a root to a layout", "chunkah build --previous auto -o oci:layout", "", ""},
	{"a root to a docker archive", "chunkah build -t localhost/app:1 -o docker-archive:root.tar", "root.tar", "want.tar"},
	{"a root into a pipe", "chunkah build -t localhost/app:1 | chunkah verify oci-archive:-", "", ""},
	{"a compressed root into a pipe", "chunkah build --compressed | chunkah verify oci-archive:-", "", ""},
	{"a docker archive into a pipe", "chunkah build -t localhost/app:1 -o docker-archive:- | chunkah verify docker-archive:-", "", ""},
	{"with a cache and a plan", "CHUNKAH_CACHE=/srv/cache chunkah build --compressed --plan last.plan -t localhost/app:1 -o root2.oci", "root2.oci", "app.oci"},
	{"once more", "CHUNKAH_CACHE=/srv/cache chunkah build --compressed --previous last.plan -t localhost/app:1 -o root3.oci", "root3.oci", "app.oci"},
	{"with a check", "chunkah build --verify --compress zstd -o root4.oci", "root4.oci", ""},
	{"the four stages", "chunkah-scan | chunkah-assign | chunkah-pack | chunkah-write -t localhost/app:1 -o staged.oci", "staged.oci", "want.oci"},
	{"an archive to another", "chunkah build --from oci-archive:app.oci -t localhost/app:1 -o split.oci", "split.oci", "want.oci"},
	{"an archive to a layout", "chunkah build --from oci-archive:app.oci -o oci:layout:2", "", ""},
	{"an archive into a pipe", "chunkah build --from oci-archive:app.oci --compressed -o - | chunkah verify oci-archive:-", "", ""},
	{"an archive to a registry", "chunkah build --from oci-archive:app.oci -o docker://$TO:build", "", ""},
	{"a registry to a registry", "chunkah build --from docker://$TO:build -o docker://$TO:latest --previous auto", "", ""},
	{"a registry to itself", "chunkah build --from docker://$TO:build -o docker://$TO:latest --previous auto --verify", "", ""},
	{"as Tekton does", "TMPDIR=/srv/tmp DOCKER_CONFIG=/srv/auth chunkah build --from docker://$TO:build -o docker://$TO:latest --previous auto --digest-file digest", "", ""},
	{"patch layers", "XDG_STATE_HOME=/srv chunkah build --previous auto --max-stale 5% -o docker://$TO:patch", "", ""},
	{"patch layers again", "XDG_STATE_HOME=/srv chunkah build --previous auto --max-stale 5% -o docker://$TO:patch 2>again", "", ""},
	{"an archive from a pipe", "chunkah build --from oci-archive:- -t localhost/app:1 -o from.oci <app.oci", "from.oci", "want.oci"},
	{"an index", "chunkah index -o oci:layout:all oci-archive:want.oci", "", ""},
	{"inspect", "chunkah inspect docker://$TO:latest --download", "", ""},
	{"reuse", "chunkah reuse oci-archive:app.oci docker://$TO:latest --html reuse.html", "", ""},
	{"verify", "chunkah verify docker://$TO:latest", "", ""},
	{"diff", "chunkah diff --ignore-mtime /chunkah oci-archive:app.oci", "", ""},
	{"doctor", "chunkah doctor /chunkah >found || [ $? = 1 ]", "", ""},
}

// imageEngine describes podman or docker with chunkah's image, and how it runs containers.
type imageEngine struct {
	name  string
	run   func(args ...string) string
	image string
	how   [][]string
}

func imageEngines(t *testing.T) []imageEngine {
	archive := chunkahImage(t)
	how := [][]string{nil, {"--read-only"}, {"--user", "1000:1000"}, {"--read-only", "--user", "1000:1000"}}
	// These options leave out the directories that podman mounts by default. Docker does not mount
	// such directories.
	bare := [][]string{{"--read-only", "--read-only-tmpfs=false"}, {"--read-only", "--read-only-tmpfs=false", "--user", "1000:1000"}}
	e := clients.NewEngine(t)
	list := []imageEngine{{"podman", e.Podman, e.Load(archive), slices.Concat(how, bare)}}
	if _, err := exec.LookPath("dockerd"); err == nil {
		d := clients.NewDocker(t)
		d.Load(archive, "localhost/chunkah:latest")
		list = append(list, imageEngine{"docker", d.Docker, "localhost/chunkah:latest", how})
	}
	return list
}

// The image works in all the ways in which users run it: with a writable or read-only root, as
// another user, with podman and with docker. A spool directory is always available.
func TestChunkahImageAnyhow(t *testing.T) {
	t.Parallel()
	engines := imageEngines(t)
	to := clients.NewRegistry(t, clients.RegistryOptions{})
	root := mkroot.Make(t, `
file /usr/bin/tool size=100000
file /etc/app.conf text="answer=6"
file /srv/app/main.py text="print(1)"
file /var/lib/dpkg/status text="Package: tool\nStatus: install ok installed\nVersion: 1\n\n"
file /var/lib/dpkg/info/tool.list text="/.\n/usr\n/usr/bin\n/usr/bin/tool\n"
`)
	db := filepath.Join(root, rpmroot.DB)
	clients.Run(t, exec.Command("mkdir", "-p", db))
	clients.Run(t, exec.Command("cp", filepath.Join(rpmRoot(t), rpmroot.DB, "rpmdb.sqlite"), db))
	given := t.TempDir()
	for _, args := range [][]string{{"want.oci"}, {"app.oci", "--compressed"}, {"docker-archive:want.tar"}} {
		cmd := exec.Command("chunkah", append([]string{"build", "--rootfs", root, "-t", "localhost/app:1", "-o"}, args...)...)
		cmd.Dir = given
		clients.Run(t, cmd)
	}
	for _, engine := range engines {
		for n, options := range engine.how {
			t.Run(engine.name+" "+strings.Join(options, " "), func(t *testing.T) {
				work := t.TempDir()
				clients.Run(t, exec.Command("cp", "-r", given+"/.", work))
				for _, dir := range []string{work, filepath.Join(work, "tmp"), filepath.Join(work, "auth")} {
					if err := errors.Join(os.MkdirAll(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(filepath.Join(work, "auth/config.json"), []byte("{}"), 0o644); err != nil {
					t.Fatal(err)
				}
				options := append(slices.Clone(options), "--rm", "--network", "host", "-v", root+":/chunkah:ro", "-e", "CHUNKAH_CONFIG_STR={}",
					"-e", fmt.Sprintf("TO=%s/%s/app%d", to, engine.name, n))
				run := func(options ...string) string { return engine.run(append([]string{"run"}, options...)...) }
				var script strings.Builder
				for _, task := range imageTasks {
					fmt.Fprintf(&script, "echo %q >&2\n%s\n", "== "+task.name, task.line)
				}
				run(append(slices.Clone(options), "-v", work+":/srv", "--entrypoint", "sh", engine.image, "-c", "set -euo pipefail\n"+script.String())...)
				for _, task := range imageTasks {
					if task.same != "" {
						sameBytes(t, filepath.Join(given, task.same), filepath.Join(work, task.writes))
					} else if task.writes != "" {
						clients.Run(t, exec.Command("chunkah", "verify", "oci-archive:"+filepath.Join(work, task.writes)))
					}
				}
				if again, err := os.ReadFile(filepath.Join(work, "again")); err != nil || strings.Contains(string(again), readsOnce) || !strings.Contains(string(again), "kept 6 layers") {
					t.Errorf("patch layers: %v\n%s", err, again)
				}
				// The container can write only to a tmpfs, and the engine reads its standard output
				// from a pipe.
				piped := filepath.Join(t.TempDir(), "piped.oci")
				out := run(append(options, engine.image, "build", "-q", "--compressed", "-t", "localhost/app:1")...)
				if err := os.WriteFile(piped, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
				sameBytes(t, filepath.Join(given, "app.oci"), piped)
			})
		}
	}
}
