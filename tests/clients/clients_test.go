package clients

import (
	"os/exec"
	"strings"
	"testing"

	"chunkah/tests/mkroot"
	"chunkah/tests/treediff"
)

// This test uses an image from another tool, so that faults of the clients are not attributed to
// chunkah.
func TestClientsOnAForeignImage(t *testing.T) {
	Need(t, "root", "umoci", "skopeo", "busybox")
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	root := mkroot.Make(t, `
file "/etc/odd \xff" text=abc mode=0640 uid=7 gid=8 xattr:user.note="a\x00b"
dir /empty mode=0700
symlink /bin/sh to=busybox
file /usr/a size=5000
link /usr/b to=/usr/a
`)
	Run(t, exec.Command("cp", busybox, root+"/bin/busybox"))
	dir := t.TempDir()
	layout := dir + "/layout"
	Run(t, exec.Command("umoci", "init", "--layout", layout))
	Run(t, exec.Command("umoci", "new", "--image", layout+":x"))
	Run(t, exec.Command("umoci", "insert", "--image", layout+":x", root, "/"))
	archive := dir + "/x.ociarchive"
	SkopeoCopy(t, "oci:"+layout+":x", "oci-archive:"+archive)

	t.Run("umoci", func(t *testing.T) { treediff.Equal(t, root, UmociUnpack(t, archive), treediff.Options{}) })
	t.Run("tar", func(t *testing.T) { treediff.Equal(t, root, TarUnpack(t, archive), treediff.Options{}) })
	t.Run("podman", func(t *testing.T) {
		e := NewEngine(t)
		image := e.Load(archive)
		if got := e.Run(image, "/bin/sh", "-c", "echo hello"); got != "hello\n" {
			t.Errorf("podman run printed %q", got)
		}
		treediff.Equal(t, root, e.Mount(image), treediff.Options{})
	})
	t.Run("docker", func(t *testing.T) {
		d := NewDocker(t)
		d.Load(archive, "localhost/x:1")
		if got := d.Run("localhost/x:1", "/bin/sh", "-c", "echo hello"); got != "hello\n" {
			t.Errorf("docker run printed %q", got)
		}
		treediff.Equal(t, root, d.Mount("localhost/x:1"), treediff.Options{})
	})
	if img := ReadImage(t, archive); len(img.Manifest.Layers) != 1 || !strings.HasPrefix(img.ManifestDigest, "sha256:") {
		t.Errorf("the image is %+v", img)
	}
}
