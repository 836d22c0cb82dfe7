package tests

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/tests/clients"
	"chunkah/tests/treediff"
)

// joined contains an image for this machine's architecture, an image for another architecture, and
// their index.
type joined struct {
	root, archive string
	archs         []string          // this machine's architecture comes first
	ids           map[string]string // image IDs by architecture
}

func joinedImages(t *testing.T) *joined {
	t.Helper()
	j := &joined{root: runnable(t), archs: []string{runtime.GOARCH, "s390x"}, ids: map[string]string{}}
	j.archive = filepath.Join(t.TempDir(), "joined.ociarchive")
	args := []string{"index", "-o", j.archive, "-t", "localhost/joined:1"}
	for _, arch := range j.archs {
		image := build(t, j.root, "--arch", arch, "--compress", "gzip")
		j.ids[arch] = configID(t, image)
		args = append(args, "oci-archive:"+image)
	}
	clients.Run(t, exec.Command("chunkah", args...))
	return j
}

// skopeo copies each platform's image from the index, and the whole index.
func TestIndexInSkopeo(t *testing.T) {
	clients.Need(t, "skopeo", "umoci")
	j := joinedImages(t)
	for _, arch := range j.archs {
		layout := filepath.Join(t.TempDir(), "layout")
		clients.Run(t, exec.Command("skopeo", "--insecure-policy", "--override-arch", arch, "copy", "--quiet", "oci-archive:"+j.archive, "oci:"+layout+":x"))
		var manifest v1.Manifest
		raw := clients.Run(t, exec.Command("skopeo", "inspect", "--raw", "oci:"+layout+":x"))
		if err := json.Unmarshal([]byte(raw), &manifest); err != nil || manifest.Config.Digest.String() != j.ids[arch] {
			t.Errorf("%s: got %s, %v; want the config %s", arch, raw, err, j.ids[arch])
		}
		treediff.Equal(t, j.root, umociUnpack(t, layout+":x"), treediff.Options{SkipXattr: dropped})
	}

	// A copy made by skopeo can be used as a source, and results in the same index.
	layout := filepath.Join(t.TempDir(), "all")
	clients.Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "oci-archive:"+j.archive, "oci:"+layout+":x"))
	again := filepath.Join(t.TempDir(), "again.ociarchive")
	clients.Run(t, exec.Command("chunkah", "index", "-o", again, "-t", "localhost/joined:1", "oci:"+layout+":x"))
	sameBytes(t, j.archive, again)
}

// podman loads the image of its own platform, and the other image with --platform, and lists both
// in a manifest list.
func TestIndexInPodman(t *testing.T) {
	t.Parallel()
	j := joinedImages(t)
	e := clients.NewEngine(t)
	if image := e.Load(j.archive); image != "localhost/joined:1" {
		t.Errorf("podman load says %q", image)
	}
	inspect := func() string {
		t.Helper()
		return "sha256:" + strings.TrimSpace(e.Podman("inspect", "--format", "{{.Id}}", "localhost/joined:1"))
	}
	if got := inspect(); got != j.ids[j.archs[0]] {
		t.Errorf("the image is %s, want %s", got, j.ids[j.archs[0]])
	}
	if got := e.Run("localhost/joined:1", readGreeting...); got != greeting {
		t.Errorf("the container says %q", got)
	}
	e.Podman("pull", "--quiet", "--arch", j.archs[1], "oci-archive:"+j.archive)
	if got := inspect(); got != j.ids[j.archs[1]] {
		t.Errorf("the image of %s is %s, want %s", j.archs[1], got, j.ids[j.archs[1]])
	}
	e.Podman("manifest", "create", "--all", "localhost/list:1", "oci-archive:"+j.archive)
	var list v1.Index
	out := e.Podman("manifest", "inspect", "localhost/list:1")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	var archs []string
	for _, m := range list.Manifests {
		archs = append(archs, m.Platform.Architecture)
	}
	if !slices.Equal(archs, j.archs) {
		t.Errorf("podman lists %q, want %q", archs, j.archs)
	}
}

// containerd, the image store of newer Docker daemons, stores the index under its name.
func TestIndexInContainerd(t *testing.T) {
	j := joinedImages(t)
	c := clients.NewContainerd(t)
	c.Import(j.archive)
	if got, want := c.Images(), []string{"localhost/joined:1"}; !slices.Equal(got, want) {
		t.Errorf("containerd has %q, want %q", got, want)
	}
}

// umoci cannot select a platform, but when it changes other images in a layout, it keeps an index
// and the images in the index.
func TestIndexBesideUmoci(t *testing.T) {
	clients.Need(t, "umoci", "skopeo")
	root := runnable(t)
	layout := filepath.Join(t.TempDir(), "layout")
	for _, arch := range []string{"amd64", "s390x"} {
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--arch", arch, "-o", "oci:"+layout+":"+arch))
	}
	before := countBlobs(t, layout)
	clients.Run(t, exec.Command("chunkah", "index", "-o", "oci:"+layout+":both", "oci:"+layout+":amd64", "oci:"+layout+":s390x"))
	if got := countBlobs(t, layout); got != before+1 {
		t.Errorf("the index makes %d blobs of %d", got, before)
	}
	clients.Run(t, exec.Command("umoci", "rm", "--image", layout+":amd64"))
	clients.Run(t, exec.Command("umoci", "gc", "--layout", layout))
	treediff.Equal(t, root, umociUnpack(t, layout+":s390x"), treediff.Options{SkipXattr: dropped})
	for _, arch := range []string{"amd64", "s390x"} {
		clients.Run(t, exec.Command("skopeo", "--insecure-policy", "--override-arch", arch, "copy", "--quiet", "oci:"+layout+":both", "dir:"+t.TempDir()))
	}
}
