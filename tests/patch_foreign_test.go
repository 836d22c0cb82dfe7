package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkimage"
)

// Layers made by another tool are also kept. Their history does not describe their files, so the
// first build reads these layers. After that, the user's record describes the layers, and the list
// of files is read from the plan.
func TestPatchLayersOfAnotherTool(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root")
	base := &mkimage.Image{}
	for _, name := range []string{"a", "b"} {
		base.Layers = append(base.Layers, mkimage.Layer{Packing: mkimage.Gzip, Tar: mkimage.Tar(t,
			mkimage.Dir("./"), mkimage.Dir("opt/"), mkimage.Dir("opt/"+name+"/"), mkimage.File("opt/"+name+"/big", strings.Repeat(name, 500_000)))})
	}
	dir := t.TempDir()
	root, plan, previous := filepath.Join(dir, "root"), filepath.Join(dir, "plan"), "oci:"+base.Layout(t)
	clients.Run(t, exec.Command("chunkah", "extract", previous, root))
	for i := range 3 {
		put(t, root, "opt/a/version", fmt.Sprint(i))
		image := fmt.Sprintf("oci:%s/layout:%d", dir, i)
		cmd := exec.Command("chunkah", "build", "-v", "--rootfs", root, "--config-str", "{}", "--plan", plan, "-o", image, "--previous", previous, "--max-stale", "10%")
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir)
		res := start(t, cmd)
		_, from, _ := strings.Cut(res.stderr, "files of the previous image: ")
		from, _, _ = strings.Cut(from, "\n")
		if want := map[bool]string{true: "the layers themselves", false: "the plan"}[i == 0]; !strings.HasSuffix(from, " layers from "+want) || strings.Contains(from, ",") || !strings.Contains(res.stderr, "kept 2 layers") {
			t.Errorf("build %d: status %d: the files are from %q\n%s", i, res.code, from, res.stderr)
		}
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, image))
		clients.Run(t, exec.Command("chunkah", "verify", image))
		previous = image
	}
}

// Another tool's layers are rewritten if they cannot be kept: layers with an opaque directory, a
// hard link into another layer, or a file without its parent directory.
func TestPatchLayersRewriteOddLayers(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root")
	lowest := mkimage.Layer{Packing: mkimage.Gzip, Tar: mkimage.Tar(t, mkimage.Dir("./"), mkimage.Dir("opt/"), mkimage.File("opt/a", strings.Repeat("a", 100_000)),
		mkimage.Dir("opt/d/"), mkimage.File("opt/d/low", "low"))}
	for name, odd := range map[string][]mkimage.Entry{
		"opaque":    {mkimage.Dir("./"), mkimage.Dir("opt/"), mkimage.Dir("opt/d/"), mkimage.File("opt/d/.wh..wh..opq", ""), mkimage.File("opt/d/new", "new")},
		"hard link": {mkimage.Dir("./"), mkimage.Dir("opt/"), mkimage.Link("opt/b", "opt/a")},
		"no parent": {mkimage.File("opt/d/new", "new")},
	} {
		previous := "oci:" + (&mkimage.Image{Layers: []mkimage.Layer{lowest, {Packing: mkimage.Gzip, Tar: mkimage.Tar(t, odd...)}}}).Layout(t)
		dir := t.TempDir()
		root, image := filepath.Join(dir, "root"), "oci:"+filepath.Join(dir, "image")
		clients.Run(t, exec.Command("chunkah", "extract", previous, root))
		put(t, root, "opt/version", "2")
		res := start(t, exec.Command("chunkah", "build", "--explain", "--rootfs", root, "--config-str", "{}", "-o", image, "--previous", previous, "--max-stale", "50%"))
		if res.code != 0 || !strings.Contains(res.stdout, "rewritten because it cannot be kept: ") {
			t.Errorf("%s: status %d\n%s%s", name, res.code, res.stdout, res.stderr)
		}
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, image))
		clients.Run(t, exec.Command("chunkah", "verify", image))
	}
}
