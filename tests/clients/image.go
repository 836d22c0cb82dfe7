package clients

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image contains the parts of an OCI archive that tests check.
type Image struct {
	// Names are the archive's entries in order.
	Names    []string
	Manifest v1.Manifest
	Config   v1.Image
	// Tag is the image's reference in the index, if any.
	Tag string
	// ManifestDigest is the digest of the image's manifest.
	ManifestDigest string
}

// maxJSON is the largest size, in bytes, of a blob that ReadImage parses as JSON.
const maxJSON = 8 << 20

// ReadImage reads an OCI archive with one image.
func ReadImage(t testing.TB, archive string) *Image {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img := &Image{}
	blobs := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("reading %s: %v", archive, err)
		}
		img.Names = append(img.Names, h.Name)
		if h.Size > maxJSON {
			continue
		}
		if blobs[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatalf("reading %s: %v", archive, err)
		}
	}
	decode := func(name string, v any) {
		if err := json.Unmarshal(blobs[name], v); err != nil {
			t.Fatalf("%s in %s: %v", name, archive, err)
		}
	}
	var index v1.Index
	decode("index.json", &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("%s holds %d images", archive, len(index.Manifests))
	}
	img.Tag = index.Manifests[0].Annotations[v1.AnnotationRefName]
	img.ManifestDigest = index.Manifests[0].Digest.String()
	decode(blobName(img.ManifestDigest), &img.Manifest)
	decode(blobName(img.Manifest.Config.Digest.String()), &img.Config)
	return img
}

// Layers maps each layer's digest to its components.
func (img *Image) Layers() map[string]string {
	layers := map[string]string{}
	for _, l := range img.Manifest.Layers {
		layers[l.Digest.String()] = l.Annotations["org.chunkah.component"]
	}
	return layers
}

func blobName(digest string) string {
	return "blobs/" + strings.Replace(digest, ":", "/", 1)
}

// LayerDigests returns the digests of the layers in a manifest file, in order.
func LayerDigests(t testing.TB, manifest string) []string {
	t.Helper()
	data, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("%s: %v", manifest, err)
	}
	var digests []string
	for _, l := range m.Layers {
		digests = append(digests, l.Digest.String())
	}
	return digests
}
