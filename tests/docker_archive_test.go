package tests

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
	"chunkah/tests/treediff"
)

// runnable makes a root in which a command can run. It contains a static busybox and a few files
// with unusual metadata.
func runnable(t *testing.T) string {
	t.Helper()
	clients.Need(t, "root", "busybox")
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	root := mkroot.Make(t, `
file /etc/greeting text="hello\n" mode=0640 uid=7 gid=8
file "/etc/odd \xff" text=abc
dir /empty mode=0700
symlink /bin/sh to=busybox
file /usr/a size=5000
link /usr/b to=/usr/a
`)
	clients.Run(t, exec.Command("cp", busybox, root+"/bin/busybox"))
	return root
}

const greeting = "hello\n"

var readGreeting = []string{"/bin/busybox", "cat", "/etc/greeting"}

// dockerArchive writes a root to a docker archive and returns its path.
func dockerArchive(t *testing.T, root, ref string, args ...string) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "docker.tar")
	dest := "docker-archive:" + archive
	if ref != "" {
		dest += ":" + ref
	}
	clients.Run(t, exec.Command("chunkah", append([]string{"build", "--rootfs", root, "-o", dest}, args...)...))
	return archive
}

// configID returns the digest of the config in an archive with one image. Engines use it as the
// image ID.
func configID(t *testing.T, archive string) string {
	t.Helper()
	return clients.ReadImage(t, archive).Manifest.Config.Digest.String()
}

// A Docker daemon loads the archive, with and without a name, with each storage driver and
// compression, and runs its command.
func TestDockerArchiveInDocker(t *testing.T) {
	t.Parallel()
	root := runnable(t)
	for _, driver := range []string{"overlay2", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			d := clients.NewDockerOn(t, driver)
			// gzip comes first: a daemon does not unpack a layer whose diffID it already has.
			for _, compression := range []string{"gzip", "none"} {
				archive := dockerArchive(t, root, "app:"+compression, "--compress", compression)
				if got := d.LoadArchive(archive); got != "app:"+compression {
					t.Errorf("%s: docker load says %q", compression, got)
				}
				if got := d.Run("app:"+compression, readGreeting...); got != greeting {
					t.Errorf("%s: the container says %q", compression, got)
				}
				if driver == "overlay2" {
					treediff.Equal(t, root, d.Mount("app:"+compression), treediff.Options{SkipXattr: dropped})
				}
				containers := strings.Fields(d.Docker("ps", "--all", "--quiet"))
				if len(containers) > 0 {
					d.Docker(append([]string{"rm", "--force"}, containers...)...)
				}
				d.Docker("rmi", "app:"+compression)
			}
			archive := dockerArchive(t, root, "")
			if got, want := d.LoadArchive(archive), configID(t, archive); got != want {
				t.Errorf("without a name: docker load says %q, want %q", got, want)
			}
		})
	}
}

// podman loads the archive with each storage driver, from a file and from a pipe, and keeps the
// name, the compression and the image's digest.
func TestDockerArchiveInPodman(t *testing.T) {
	t.Parallel()
	root := runnable(t)
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			e := clients.NewEngineOn(t, driver)
			for _, compression := range []string{"gzip", "none"} {
				archive := dockerArchive(t, root, "localhost/app:"+compression, "--compress", compression)
				image := e.Load(archive)
				if image != "localhost/app:"+compression {
					t.Errorf("%s: podman load says %q", compression, image)
				}
				if got := e.Run(image, readGreeting...); got != greeting {
					t.Errorf("%s: the container says %q", compression, got)
				}
				sameInPodman(t, root, e.Mount(image))
				e.Podman("image", "unmount", "--all", "--force")
				e.Podman("rmi", "--all", "--force")
			}
			archive := dockerArchive(t, root, "")
			if got, want := e.Load(archive), configID(t, archive); got != want {
				t.Errorf("without a name: podman load says %q, want %q", got, want)
			}
		})
	}
}

// skopeo, umoci and containerd read the archive. skopeo uses manifest.json, and the other tools
// read the archive as a layout.
func TestDockerArchiveInOthers(t *testing.T) {
	t.Parallel()
	root := runnable(t)
	archive := dockerArchive(t, root, "app:1")
	t.Run("skopeo", func(t *testing.T) {
		clients.Need(t, "skopeo", "umoci")
		layout := filepath.Join(t.TempDir(), "layout")
		clients.SkopeoCopy(t, "docker-archive:"+archive+":app:1", "oci:"+layout+":x")
		treediff.Equal(t, root, umociUnpack(t, layout+":x"), treediff.Options{SkipXattr: dropped})
	})
	t.Run("umoci", func(t *testing.T) {
		clients.Need(t, "umoci")
		layout := t.TempDir()
		clients.Run(t, exec.Command("tar", "--extract", "--file", archive, "--directory", layout))
		treediff.Equal(t, root, umociUnpack(t, layout+":app:1"), treediff.Options{SkipXattr: dropped})
	})
	t.Run("containerd", func(t *testing.T) {
		c := clients.NewContainerd(t)
		c.Import(archive)
		if got, want := c.Images(), []string{"docker.io/library/app:1"}; !slices.Equal(got, want) {
			t.Errorf("containerd has %q, want %q", got, want)
		}
	})
	t.Run("oci-archive", func(t *testing.T) {
		treediff.Equal(t, root, clients.TarUnpack(t, archive), treediff.Options{SkipXattr: dropped})
	})
}

// umociUnpack unpacks an image from a layout and returns the tree.
func umociUnpack(t *testing.T, image string) string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "bundle")
	clients.Run(t, exec.Command("umoci", "unpack", "--image", image, bundle))
	return filepath.Join(bundle, "rootfs")
}

// An image of a complete Debian system can be piped to the daemon, and has the same image ID there
// as in an archive.
func TestDockerArchiveOfADebianRoot(t *testing.T) {
	t.Parallel()
	root := debianRoot(t)
	d := clients.NewDocker(t)
	build := exec.Command("chunkah", "build", "--rootfs", root, "--skip-special-files", "--max", "16", "-o", "docker-archive:-:localhost/debian:1")
	load := d.Command("load", "--quiet")
	var err error
	if load.Stdin, err = build.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := build.Start(); err != nil {
		t.Fatal(err)
	}
	clients.Run(t, load)
	if err := build.Wait(); err != nil {
		t.Fatal(err)
	}
	id := configID(t, dockerArchive(t, root, "localhost/debian:1", "--skip-special-files", "--max", "16"))
	if got := strings.TrimSpace(d.Docker("inspect", "--format", "{{.Id}}", "localhost/debian:1")); got != id {
		t.Errorf("the image in docker is %s, want %s", got, id)
	}
	want := clients.Run(t, exec.Command("chroot", root, "dpkg", "-l"))
	if got := d.Run("localhost/debian:1", "dpkg", "-l"); got != want {
		t.Errorf("dpkg -l in the container says\n%s\nwant\n%s", got, want)
	}
}
