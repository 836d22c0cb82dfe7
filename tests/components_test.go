package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/xattr"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// markedRoot is a root in which only xattrs name components.
const markedRoot = `
dir /opt/web xattr:user.component=web xattr:user.update-interval=weekly
file /opt/web/index.html size=30000 mtime=1600000000
file /srv/model size=2000000 xattr:user.component=model mtime=1600000000
file /etc/app.conf text=app mtime=1600000000
`

// diffIDOf returns the diffID of the layer that contains only the given component. The test fails
// if there is no such layer.
func diffIDOf(t *testing.T, archive, component string) string {
	t.Helper()
	img := clients.ReadImage(t, archive)
	for i, h := range img.Config.History {
		if strings.Contains(h.Comment, `"components":["`+component+`"]`) {
			return img.Config.RootFS.DiffIDs[i].String()
		}
	}
	t.Fatalf("%s: no layer holds %s alone: %+v", archive, component, img.Config.History)
	return ""
}

// When the source of a build is an image made by chunkah, the build finds the components from
// xattrs again, although the image does not contain the xattrs.
func TestComponentsSurviveABuild(t *testing.T) {
	base := build(t, mkroot.Make(t, markedRoot))
	e := clients.NewEngine(t)
	e.Podman("tag", e.Load(base), "localhost/base")
	dir := t.TempDir()
	for name, text := range map[string]string{"Containerfile": "FROM localhost/base\nCOPY more /srv/more\n", "more": "more"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e.Buildah(dir, "build", "--isolation", "chroot", "--tag", "localhost/next", ".")
	next := filepath.Join(dir, "next.ociarchive")
	e.Podman("save", "--quiet", "--format", "oci-archive", "--output", next, "localhost/next")

	again := filepath.Join(dir, "again.ociarchive")
	clients.Run(t, exec.Command("chunkah", "build", "--from", "oci-archive:"+next, "-o", again))
	for _, component := range []string{"xattr/web", "xattr/model"} {
		if was, is := diffIDOf(t, base, component), diffIDOf(t, again, component); was != is {
			t.Errorf("the layer of %s was %s and is %s", component, was, is)
		}
	}
	// The result is the same in a pipe, in which assign opens the image again.
	piped := filepath.Join(dir, "piped.ociarchive")
	clients.Run(t, exec.Command("sh", "-c", `chunkah-scan "$1" | chunkah-assign | chunkah-pack | chunkah-write >"$2"`, "sh", "oci-archive:"+next, piped))
	sameBytes(t, again, piped)

	// A file from a source above the image gets no component from the image's history.
	above := mkroot.Make(t, "file /opt/web/index.html text=new mtime=1600000000\n")
	over := filepath.Join(dir, "over.ociarchive")
	clients.Run(t, exec.Command("chunkah", "build", "--from", "oci-archive:"+base, "--from", "dir:"+above, "-o", over))
	if was, is := diffIDOf(t, base, "xattr/model"), diffIDOf(t, over, "xattr/model"); was != is {
		t.Errorf("the layer of xattr/model was %s and is %s", was, is)
	}
	for _, h := range clients.ReadImage(t, over).Config.History {
		if strings.Contains(h.Comment, "xattr/web") {
			t.Errorf("a file of a directory is in %s", h.Comment)
		}
	}

	// The use of the history can be turned off.
	without := filepath.Join(dir, "without.ociarchive")
	clients.Run(t, exec.Command("chunkah", "build", "--from", "oci-archive:"+base, "--repos", "xattr,bigfiles", "-o", without))
	for _, h := range clients.ReadImage(t, without).Config.History {
		if strings.Contains(h.Comment, "xattr/") {
			t.Errorf("without history there is %s", h.Comment)
		}
	}
}

// The image contains the xattrs given with --keep-xattr, and clients unpack them.
func TestKeptComponentXattrs(t *testing.T) {
	t.Parallel()
	root := mkroot.Make(t, markedRoot)
	keep := []string{"--keep-xattr", "user.component", "--keep-xattr", "user.update-interval", "-t", "localhost/kept:1"}
	archive := build(t, root, slices.Concat(keep, []string{"--verify"})...)
	has := func(client, tree, path, name, want string) {
		t.Helper()
		if got, err := xattr.LGet(filepath.Join(tree, path), name); err != nil || string(got) != want {
			t.Errorf("%s: %s of %s is %q, %v; want %q", client, name, path, got, err, want)
		}
	}
	t.Run("umoci", func(t *testing.T) {
		clients.Need(t, "umoci", "skopeo")
		tree := clients.UmociUnpack(t, archive)
		has("umoci", tree, "opt/web", "user.component", "web")
		has("umoci", tree, "opt/web", "user.update-interval", "weekly")
		has("umoci", tree, "srv/model", "user.component", "model")
	})
	t.Run("podman", func(t *testing.T) {
		e := clients.NewEngine(t)
		tree := e.Mount(e.Load(archive))
		has("podman", tree, "opt/web", "user.component", "web")
		has("podman", tree, "srv/model", "user.component", "model")
	})
	t.Run("docker", func(t *testing.T) {
		d := clients.NewDocker(t)
		d.Load(archive, "localhost/kept:1")
		tree := d.Mount("localhost/kept:1")
		has("docker", tree, "opt/web", "user.component", "web")
		has("docker", tree, "srv/model", "user.component", "model")
	})
	t.Run("containerd", func(t *testing.T) {
		c := clients.NewContainerd(t)
		c.Import(archive)
		trees, err := filepath.Glob(c.Store() + "/snapshots/*/fs/opt/web")
		if err != nil || len(trees) != 1 {
			t.Fatalf("the snapshots with /opt/web are %q, %v", trees, err)
		}
		has("containerd", trees[0], "", "user.component", "web")
	})
	t.Run("tar", func(t *testing.T) {
		has("tar", clients.TarUnpack(t, archive), "opt/web", "user.component", "web")
	})
	// The next build reads these xattrs in the same way as from a directory.
	again := filepath.Join(t.TempDir(), "again.ociarchive")
	clients.Run(t, exec.Command("chunkah", slices.Concat([]string{"build", "--from", "oci-archive:" + archive, "-o", again}, keep)...))
	if was, is := diffIDOf(t, archive, "xattr/web"), diffIDOf(t, again, "xattr/web"); was != is {
		t.Errorf("the layer of xattr/web was %s and is %s", was, is)
	}
	// In a pipe, pack keeps these xattrs.
	piped := filepath.Join(t.TempDir(), "piped.ociarchive")
	clients.Run(t, exec.Command("sh", "-c",
		`chunkah-scan "$1" | chunkah-assign | chunkah-pack --keep-xattr user.component --keep-xattr user.update-interval | chunkah-write -t localhost/kept:1 >"$2"`, "sh", root, piped))
	sameBytes(t, archive, piped)
}
