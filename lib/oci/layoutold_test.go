package oci

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// replaceOld replaces the image in the layout.
func replaceOld(t *testing.T, dir string) {
	t.Helper()
	l, err := OpenLayout(dir, "", Options{Own: func(v1.History) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	img := testImage(t)
	img.Ref, img.Layers = "", testLayers("new")
	if err := writeImage(t, l, img); err != nil {
		t.Fatal(err)
	}
}

// plant adds a document to the layout under its own digest, or under another digest.
func plant(t *testing.T, dir string, document any, as digest.Digest) v1.Descriptor {
	t.Helper()
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	if as == "" {
		as = digest.FromBytes(data)
	}
	if err := os.WriteFile(filepath.Join(dir, blobName(as)), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return v1.Descriptor{Digest: as, Size: int64(len(data))}
}

// list writes an index that lists only these images.
func list(t *testing.T, dir string, images ...v1.Descriptor) {
	t.Helper()
	data, err := json.Marshal(v1.Index{Manifests: images})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// False documents of a replaced image do no harm. Nothing outside the layout is removed, and errors
// are ignored.
func TestLayoutOldImageLies(t *testing.T) {
	up := digest.Digest("sha256:../../../victim")
	type manifest struct {
		Config v1.Descriptor   `json:"config,omitzero"`
		Layers []v1.Descriptor `json:"layers"`
	}
	config := map[string]any{"history": []v1.History{{CreatedBy: "anybody"}}}
	for name, make := range map[string]func(config v1.Descriptor) manifest{
		"layer leads out":         func(c v1.Descriptor) manifest { return manifest{c, []v1.Descriptor{{Digest: up}}} },
		"layer without algorithm": func(c v1.Descriptor) manifest { return manifest{c, []v1.Descriptor{{Digest: "victim"}}} },
		"config leads out": func(v1.Descriptor) manifest {
			return manifest{v1.Descriptor{Digest: up}, []v1.Descriptor{descriptor("a")}}
		},
		"config without algorithm": func(v1.Descriptor) manifest {
			return manifest{v1.Descriptor{Digest: "victim"}, []v1.Descriptor{descriptor("a")}}
		},
		"no config": func(v1.Descriptor) manifest { return manifest{Layers: []v1.Descriptor{descriptor("a")}} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			victim, layout := filepath.Join(dir, "victim"), filepath.Join(dir, "layout")
			text, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(victim, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := layoutTo(t, layout, "", "a"); err != nil {
				t.Fatal(err)
			}
			list(t, layout, plant(t, layout, make(plant(t, layout, config, "")), ""))
			replaceOld(t, layout)
			if _, err := os.Stat(victim); err != nil {
				t.Error(err)
			}
		})
	}
}

// A document with a wrong digest is ignored.
func TestLayoutOldImageIsHashed(t *testing.T) {
	dir := t.TempDir()
	if err := layoutTo(t, dir, "", "a"); err != nil {
		t.Fatal(err)
	}
	config := plant(t, dir, map[string]any{"history": []v1.History{{}}}, "")
	list(t, dir, plant(t, dir, v1.Manifest{Config: config, Layers: []v1.Descriptor{descriptor("a")}}, digest.FromString("another")))
	replaceOld(t, dir)
	if _, err := os.Stat(filepath.Join(dir, blobName(descriptor("a").Digest))); err != nil {
		t.Error(err)
	}
}

// Each document is read once, even if many indexes list it. Otherwise this test would read 2,000 to
// the power of 4 documents and never end. Blobs that a remaining image needs are kept.
func TestLayoutOldIndexesAreReadOnce(t *testing.T) {
	for _, stays := range []bool{false, true} {
		dir := t.TempDir()
		if err := layoutTo(t, dir, "", "a"); err != nil {
			t.Fatal(err)
		}
		config := plant(t, dir, map[string]any{"history": []v1.History{{}}}, "")
		old := plant(t, dir, v1.Manifest{Config: config, Layers: []v1.Descriptor{descriptor("a")}}, "")
		deep := old
		for depth := range maxOldDepth {
			index := v1.Index{Annotations: map[string]string{"depth": fmt.Sprint(depth)}}
			for range 2000 {
				index.Manifests = append(index.Manifests, deep)
			}
			deep = plant(t, dir, index, "")
		}
		if stays {
			deep.Annotations = map[string]string{annotationRefName: "stays"}
			list(t, dir, old, deep)
		} else {
			list(t, dir, deep)
		}
		replaceOld(t, dir)
		for _, d := range []v1.Descriptor{deep, old, descriptor("a")} {
			if _, err := os.Stat(filepath.Join(dir, blobName(d.Digest))); (err == nil) != stays {
				t.Errorf("stays %v, blob %q: %v", stays, d.Digest, err)
			}
		}
	}
}

// History entries without a layer do not count as layers.
func TestLayoutOldHistory(t *testing.T) {
	dir := t.TempDir()
	if err := layoutTo(t, dir, "", "a"); err != nil {
		t.Fatal(err)
	}
	config := plant(t, dir, map[string]any{"history": []v1.History{{EmptyLayer: true}, {}, {EmptyLayer: true}}}, "")
	list(t, dir, plant(t, dir, v1.Manifest{Config: config, Layers: []v1.Descriptor{descriptor("a")}}, ""))
	replaceOld(t, dir)
	if _, err := os.Stat(filepath.Join(dir, blobName(descriptor("a").Digest))); err == nil {
		t.Error("the blob of the replaced image is still there")
	}
}
