package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/treediff"
)

// foreignImage returns a single-layer image made by umoci.
func foreignImage(t *testing.T, root string) string {
	t.Helper()
	clients.Need(t, "umoci", "skopeo")
	dir := t.TempDir()
	layout := filepath.Join(dir, "layout") + ":x"
	clients.Run(t, exec.Command("umoci", "init", "--layout", filepath.Join(dir, "layout")))
	clients.Run(t, exec.Command("umoci", "new", "--image", layout))
	clients.Run(t, exec.Command("umoci", "insert", "--image", layout, root, "/"))
	archive := filepath.Join(dir, "foreign.ociarchive")
	clients.SkopeoCopy(t, "oci:"+layout, "oci-archive:"+archive)
	return archive
}

// chunkah build works in a container in which the source image is mounted at /chunkah.
func TestPodmanImageMount(t *testing.T) {
	t.Parallel()
	root := rpmRoot(t)
	e := clients.NewEngine(t)
	image := e.Load(foreignImage(t, root))
	out := t.TempDir()
	e.Podman("run", "--rm", "--mount=type=image,source="+image+",destination=/chunkah",
		"-v", filepath.Join(scratch, "bin")+":/bin-chunkah:ro", "-v", out+":/out",
		image, "/bin-chunkah/chunkah", "build", "--rootfs", "/chunkah", "-o", "/out/out.ociarchive")
	treediff.Equal(t, root, clients.UmociUnpack(t, out+"/out.ociarchive"), treediff.Options{SkipXattr: dropped})
}

const containerfile = `
FROM localhost/source AS source
FROM localhost/source AS chunkah
RUN --mount=type=bind,from=source,target=/chunkah \
    /run/src/chunkah build --rootfs /chunkah --label built-by=chunkah -o /run/src/out.ociarchive
FROM oci-archive:out.ociarchive
ENV AFTER=yes
RUN ["/bin/sh", "-c", "echo more >/opt/more"]
`

// chunkah build works in a Containerfile whose last stage is chunkah's output.
func TestBuildahTrick(t *testing.T) {
	t.Parallel()
	root := rpmRoot(t)
	e := clients.NewEngine(t)
	e.Podman("tag", e.Load(foreignImage(t, root)), "localhost/source")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(containerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	clients.Run(t, exec.Command("cp", filepath.Join(scratch, "bin/chunkah"), dir))
	e.Buildah(dir, "build", "--isolation", "chroot", "--skip-unused-stages=false", "-v", dir+":/run/src", "--tag", "localhost/result", ".")
	if got := e.Run("localhost/result", "/bin/sh", "-c", "cat /opt/more; echo $AFTER; /usr/bin/rpm -q tools"); !strings.HasPrefix(got, "more\nyes\ntools-2.0") {
		t.Errorf("the result says %q", got)
	}
	treediff.Equal(t, root, clients.UmociUnpack(t, filepath.Join(dir, "out.ociarchive")), treediff.Options{SkipXattr: dropped})
	labels := clients.ReadImage(t, filepath.Join(dir, "out.ociarchive")).Config.Config.Labels
	if labels["built-by"] != "chunkah" {
		t.Errorf("the labels are %q", labels)
	}
}

// chunkah build works inside the root of a running container. The image does not contain the
// engine's mounts, but it contains their mount points.
func TestLiveRoot(t *testing.T) {
	t.Parallel()
	root := rpmRoot(t)
	e := clients.NewEngine(t)
	image := e.Load(foreignImage(t, root))
	out := t.TempDir()
	// Redirect standard error to standard output, because the engine returns only the latter.
	said := e.Podman("run", "--rm", "-v", filepath.Join(scratch, "bin")+":/bin-chunkah:ro", "-v", out+":/out", image,
		"/bin/sh", "-c", "echo junk >/tmp/junk; echo new >/opt/new; /bin-chunkah/chunkah build --rootfs / -o /out/out.ociarchive 2>&1")
	for _, path := range []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/etc/hosts"} {
		if countPath(said, path) == 0 && countPath(said, path+"/") == 0 {
			t.Errorf("%s is not named in\n%s", path, said)
		}
	}
	tree := clients.UmociUnpack(t, out+"/out.ociarchive")
	mounted := []string{"/proc", "/sys", "/dev", "/run", "/out", "/bin-chunkah"}
	for _, dir := range append(mounted, "/tmp") {
		empty(t, filepath.Join(tree, dir))
	}
	if data, err := os.ReadFile(filepath.Join(tree, "opt/new")); err != nil || string(data) != "new\n" {
		t.Errorf("/opt/new is %q, %v", data, err)
	}
	files := []string{"/etc/hosts", "/etc/hostname"}
	for _, path := range files {
		fi, err := os.Lstat(filepath.Join(tree, path))
		if err != nil || fi.Size() != 0 || fi.Mode() != 0o644 {
			t.Errorf("%s is %v, %v", path, fi, err)
		}
	}
	others := append(append(mounted, files...), "/opt/new", "/etc/mtab")
	treediff.Equal(t, root, tree, treediff.Options{
		SkipXattr: dropped, SkipPath: func(path string) bool { return slices.Contains(others, path) },
	})
}
