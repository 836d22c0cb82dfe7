package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/treediff"
)

// chunkah adds images to a layout that umoci created and that skopeo and buildah changed. It keeps
// other images, replaces an image with the same name, and shares blobs. The tools find all images.
func TestLayoutWithOthers(t *testing.T) {
	clients.Need(t, "umoci", "skopeo")
	root := runnable(t)
	other := copyRoot(t, root)
	if err := os.WriteFile(filepath.Join(other, "etc/more"), []byte("more"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(scratch, "others") // buildah derives a name from the path, and names must be lower-case
	if err != nil {
		t.Fatal(err)
	}
	layout := filepath.Join(dir, "layout")
	add := func(root, ref string) {
		t.Helper()
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "-o", "oci:"+layout+":"+ref))
	}
	clients.Run(t, exec.Command("umoci", "init", "--layout", layout))
	clients.Run(t, exec.Command("umoci", "new", "--image", layout+":umoci"))
	clients.Run(t, exec.Command("umoci", "config", "--image", layout+":umoci", "--config.cmd", "x"))
	add(root, "app:1")
	clients.SkopeoCopy(t, "oci:"+layout+":app:1", "oci:"+layout+":skopeo:1")
	e := clients.NewEngineOn(t, "vfs")
	container := strings.TrimSpace(e.Buildah(layout, "from", "oci:"+layout+":app:1"))
	e.Buildah(layout, "commit", "--quiet", container, "oci:"+layout+":buildah")

	blobs := countBlobs(t, layout)
	add(root, "app:2") // the same image
	if got := countBlobs(t, layout); got != blobs {
		t.Errorf("the same image again makes %d blobs of %d", got, blobs)
	}
	add(other, "app:1")
	want := []string{"app:1", "app:2", "buildah", "skopeo:1", "umoci"}
	got := strings.Fields(clients.Run(t, exec.Command("umoci", "ls", "--layout", layout)))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the layout holds %q, want %q", got, want)
	}
	clients.Run(t, exec.Command("umoci", "gc", "--layout", layout))
	for _, ref := range want {
		clients.SkopeoCopy(t, "oci:"+layout+":"+ref, "dir:"+t.TempDir())
	}
	for ref, root := range map[string]string{"app:1": other, "app:2": root, "skopeo:1": root} {
		treediff.Equal(t, root, umociUnpack(t, layout+":"+ref), treediff.Options{SkipXattr: dropped})
	}
	fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "-o", "oci:"+layout))
}

// countBlobs counts the blobs of a layout.
func countBlobs(t *testing.T, layout string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(layout, "blobs/sha256"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Unknown fields of an index, and images that are not replaced, are kept.
func TestLayoutKeepsAnnotations(t *testing.T) {
	root := runnable(t)
	layout := filepath.Join(t.TempDir(), "layout")
	dest := "oci:" + layout + ":"
	clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "-o", dest+"kept"))
	edit := exec.Command("jq", "--compact-output", `.annotations.of = "all" | .manifests[0].annotations.of = "one" | .future = [1]`, "index.json")
	edit.Dir = layout
	clients.Need(t, "jq")
	if err := os.WriteFile(filepath.Join(layout, "index.json"), []byte(clients.Run(t, edit)), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "-o", dest+"new", "--label", "l=1"))
	}
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Annotations map[string]string
		Future      []int
		Manifests   []struct{ Annotations map[string]string }
	}
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 2 || index.Annotations["of"] != "all" || index.Manifests[0].Annotations["of"] != "one" || len(index.Future) != 1 {
		t.Errorf("index.json is %s", data)
	}
}
