package tests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"chunkah/tests/clients"
	mk "chunkah/tests/mkimage"
)

// tenLayersArchive returns an uncompressed archive of the ten-layer image.
func tenLayersArchive(t *testing.T) string {
	t.Helper()
	img := imageOf(t, tenLayers())
	for i := range img.Layers {
		img.Layers[i].Packing = mk.Plain
	}
	return img.Archive(t)
}

// storageOf returns the name of an image in an engine's storage.
func storageOf(e *clients.Engine, driver, name string) string {
	return fmt.Sprintf("containers-storage:[%s@%s]%s", driver, filepath.Dir(e.Store()), name)
}

// With each storage driver, the image read from podman's storage is the image that was loaded.
// Nothing is spooled, because the spool directory does not exist.
func TestFromStorage(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "podman", "buildah")
	debian := build(t, debianRoot(t), "--skip-special-files", "--compress", "gzip", "--level", "1", "--config-str", fromConfig, "-t", "localhost/debian:1")
	ten := tenLayersArchive(t)
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			e := clients.NewEngineOn(t, driver)
			for name, archive := range map[string]string{"localhost/layers:1": ten, "localhost/debian:1": debian} {
				if driver == "vfs" && archive == debian {
					continue // vfs copies the whole tree for each layer
				}
				e.Load(archive)
				want := from(t, "--from", "oci-archive:"+archive, "-t", "localhost/new:1")
				out := filepath.Join(t.TempDir(), "out")
				sources := map[string][]string{
					storageOf(e, driver, name):                                     nil,
					"containers-storage:" + strings.TrimPrefix(name, "localhost/"): e.Env(), // the storage that storage.conf names
				}
				for source, env := range sources {
					cmd := exec.Command("chunkah", "build", "--from", source, "--spool", "/nonexistent", "-t", "localhost/new:1", "-o", out)
					cmd.Env = append(os.Environ(), env...)
					clients.Run(t, cmd)
					sameBytes(t, want, out)
				}
				stream(t, `chunkah-scan "$ROOT" | chunkah-assign | chunkah-pack | chunkah-write -t localhost/new:1 >`+out, storageOf(e, driver, name))
				sameBytes(t, want, out)
				clients.Run(t, exec.Command("chunkah", "verify", storageOf(e, driver, name)))
				clients.Run(t, exec.Command("chunkah", "diff", storageOf(e, driver, name), "oci-archive:"+archive))
			}
		})
	}
}

// If buildah has committed an image, chunkah reads the same image from the storage as from the
// archive that podman saves.
func TestFromBuildah(t *testing.T) {
	t.Parallel()
	e := clients.NewEngine(t)
	e.Load(tenLayersArchive(t))
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/Containerfile", []byte("FROM localhost/layers:1\nCOPY file /added/\nENV A=b\nHEALTHCHECK CMD true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/file", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"oci", "docker"} {
		e.Buildah(dir, "build", "--quiet", "--format", form, "--tag", "localhost/built:"+form, ".")
		archive := filepath.Join(dir, form)
		e.Podman("save", "--quiet", "--format", form+"-archive", "--output", archive, "localhost/built:"+form)
		got := from(t, "--from", storageOf(e, "overlay", "built:"+form))
		if form == "oci" {
			sameBytes(t, from(t, "--from", "oci-archive:"+archive), got)
			continue
		}
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", storageOf(e, "overlay", "built:docker"), "docker-archive:"+archive))
	}
}

// Users can read their own storage. If the storage contains files of other users, the build fails,
// and the error contains the command to run.
func TestFromStorageOfAUser(t *testing.T) {
	clients.Need(t, "root", "podman")
	e := clients.NewEngine(t)
	e.Load(build(t, smallRoot(t), "-t", "localhost/small:1"))
	want := from(t, "--from", storageOf(e, "overlay", "small:1"))
	const uid = 65534
	store := filepath.Dir(e.Store())
	openAbove(t, e.Store())
	err := filepath.WalkDir(store, func(path string, _ fs.DirEntry, err error) error { return errors.Join(err, os.Lchown(path, uid, uid)) })
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	openAbove(t, dir)
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	chunkah, err := exec.LookPath("chunkah")
	if err != nil {
		t.Fatal(err)
	}
	openAbove(t, chunkah)
	run := func() result {
		cmd := exec.Command(chunkah, "build", "--from", "containers-storage:small:1", "-o", dir+"/out")
		cmd.Env = append(os.Environ(), append(e.Env(), "TMPDIR="+dir)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return start(t, cmd)
	}
	if res := run(); res.code != 0 {
		t.Fatalf("status %d: %s", res.code, res.stderr)
	}
	sameBytes(t, want, dir+"/out")
	names, err := filepath.Glob(store + "/overlay/*/diff/usr/bin/tool")
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}
	if err := errors.Join(os.Lchown(names[0], 100_000, 100_000), os.Chmod(names[0], 0o700)); err != nil {
		t.Fatal(err)
	}
	if res := run(); res.code != 1 || !strings.Contains(res.stderr, "permission denied") || !strings.Contains(res.stderr, "podman unshare") {
		t.Errorf("status %d: %s", res.code, res.stderr)
	}
}

// An image can be written to a Docker daemon and read back unchanged, without any temporary file.
func TestDockerDaemon(t *testing.T) {
	clients.Need(t, "root", "dockerd", "tar", "setfacl")
	d := clients.NewDocker(t)
	t.Setenv("DOCKER_HOST", d.Host())
	for name, source := range map[string]string{
		"ten": "oci-archive:" + tenLayersArchive(t), "root": "tar:" + gnuTar(t, awkwardRoot(t)),
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--skip-special-files", "--config-str", fromConfig, "--arch", "amd64", "-t", name + ":1"}
			want := from(t, append(args, "--from", source)...)
			clients.Run(t, exec.Command("chunkah", append(append([]string{"build"}, args...), "--from", source, "-t", name+":2",
				"--spool", "/nonexistent", "-o", "docker-daemon:"+name+":1")...))
			id := strings.TrimSpace(d.Docker("images", "--no-trunc", "--quiet", name+":2"))
			if same := strings.TrimSpace(d.Docker("images", "--no-trunc", "--quiet", name+":1")); same != id || id == "" {
				t.Errorf("the tags are %q and %q", same, id)
			}
			for _, source := range []string{"docker-daemon:" + name + ":1", "docker-daemon:" + id} {
				sameBytes(t, want, from(t, "--from", source, "-t", name+":1"))
			}
			out := filepath.Join(t.TempDir(), "out")
			stream(t, `chunkah-scan "$ROOT" | chunkah-assign | chunkah-pack | chunkah-write -t `+name+`:1 >`+out, "docker-daemon:"+name+":1")
			sameBytes(t, want, out)
			clients.Run(t, exec.Command("chunkah", "verify", "docker-daemon:"+name+":1"))
		})
	}
	t.Run("previous", func(t *testing.T) {
		root := copyRoot(t, smallRoot(t))
		first := build(t, root, "--config-str", "{}", "--max", "4")
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--config-str", "{}", "--max", "4", "-o", "docker-daemon:prev:1"))
		if err := os.WriteFile(root+"/usr/share/plain", []byte("changed"), 0o644); err != nil {
			t.Fatal(err)
		}
		want := build(t, root, "--config-str", "{}", "--max", "4", "--previous", first)
		sameBytes(t, want, build(t, root, "--config-str", "{}", "--max", "4", "--previous", "docker-daemon:prev:1"))
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--config-str", "{}", "--max", "4", "--previous", "auto", "-o", "docker-daemon:prev:1"))
		clients.Run(t, exec.Command("chunkah", "diff", "docker-daemon:prev:1", "oci-archive:"+want))
	})
}

// A build that fails leaves no image in a Docker daemon.
func TestDockerDaemonFaults(t *testing.T) {
	d := clients.NewDocker(t)
	t.Setenv("DOCKER_HOST", d.Host())
	root := copyRoot(t, smallRoot(t))
	res := start(t, exec.Command("sh", "-c", `chunkah-scan "$0" | chunkah-assign | chunkah-pack > "$1" && echo y >> "$0"/usr/share/big.bin && chunkah-write -o docker-daemon:broken:1 < "$1"`,
		root, filepath.Join(t.TempDir(), "layers")))
	if res.code != 1 || !strings.Contains(res.stderr, `"/usr/share/big.bin"`) {
		t.Errorf("status %d: %s", res.code, res.stderr)
	}
	if got := d.Docker("images", "--all", "--quiet"); got != "" {
		t.Errorf("there is an image: %s", got)
	}
}

// An image with a Docker manifest has the same contents as with an OCI manifest, and podman finds
// its health check.
func TestManifestTypeDocker(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "podman", "skopeo", "docker-registry", "dockerd")
	root, host := copyRoot(t, smallRoot(t)), clients.NewRegistry(t, clients.RegistryOptions{})
	config := `{"architecture":"amd64","os":"linux","config":{"Cmd":["/x"],"Healthcheck":{"Test":["CMD","/check"]}}}`
	push := func(name string, args ...string) string {
		t.Helper()
		res := start(t, exec.Command("chunkah", append([]string{"build", "--rootfs", root, "--config-str", config, "-o", "docker://" + host + name}, args...)...))
		if res.code != 0 {
			t.Fatalf("status %d: %s", res.code, res.stderr)
		}
		return res.stderr
	}
	push("/app:oci")
	if said := push("/app:docker", "--manifest-type", "docker", "--verify", "--annotation", "a=b"); strings.Contains(said, "HEALTHCHECK") {
		t.Errorf("it says %s", said)
	}
	raw := skopeoInspect(t, "docker://"+host+"/app:docker", "--raw")
	if !strings.Contains(raw, `"mediaType":"application/vnd.docker.distribution.manifest.v2+json"`) || strings.Contains(raw, "oci") {
		t.Errorf("the manifest is %s", raw)
	}
	clients.Run(t, exec.Command("chunkah", "verify", "docker://"+host+"/app:docker"))
	e := clients.NewEngine(t)
	for tag, want := range map[string]string{"oci": "", "docker": "/check"} {
		e.Pull(host + "/app:" + tag)
		if got := e.Podman("inspect", "--format", "{{.HealthCheck}}", host+"/app:"+tag); strings.Contains(got, "/check") != (want != "") {
			t.Errorf("%s: podman says %q", tag, got)
		}
	}
	d := clients.NewDocker(t)
	d.Pull(host + "/app:docker")
	// If the image is used as the previous image, its layers are reused in images in both formats.
	for _, form := range []string{"docker", "oci"} {
		if said := push("/app:next", "--manifest-type", form, "--previous", "docker://"+host+"/app:docker"); !strings.Contains(said, ": reused ") {
			t.Errorf("%s: %s", form, said)
		}
		clients.Run(t, exec.Command("chunkah", "verify", "docker://"+host+"/app:next"))
		raw := skopeoInspect(t, "docker://"+host+"/app:next", "--raw")
		if strings.Contains(raw, "vnd.docker") == strings.Contains(raw, "vnd.oci") {
			t.Errorf("%s: media types of both kinds: %s", form, raw)
		}
	}
}
