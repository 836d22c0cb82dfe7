package oci

import (
	"bytes"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// A converted image equals an image that was built in Docker's format.
func TestToDocker(t *testing.T) {
	var docs []Document
	var manifests []v1.Descriptor
	for _, docker := range []bool{false, true} {
		for _, arch := range []string{"amd64", "arm64"} {
			config := &Config{Annotations: map[string]string{"a": "b"}}
			config.Platform = v1.Platform{OS: "linux", Architecture: arch}
			layer := Layer{DiffID: digest.FromString("x"), Descriptor: v1.Descriptor{
				MediaType: v1.MediaTypeImageLayerGzip, Digest: digest.FromString("y"), Size: 1, Annotations: map[string]string{"c": "d"},
			}}
			built, err := (&Image{Config: config, Layers: []Layer{layer}, Docker: docker}).Build()
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, built.Manifest)
			d := built.Manifest.Descriptor
			d.Platform, d.Annotations = &config.Platform, map[string]string{"e": "f"}
			manifests = append(manifests, d)
		}
	}
	index := func(docker bool, manifests []v1.Descriptor) Document {
		doc, _, err := (&Index{Manifests: manifests, Docker: docker, Annotations: map[string]string{"g": "h"}}).Build()
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	want := append(docs[2:4:4], index(true, manifests[2:]))
	got, err := ToDocker(append(docs[0:2:2], index(false, manifests[:2])))
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !bytes.Equal(got[i].Data, want[i].Data) || got[i].Descriptor.Digest != want[i].Descriptor.Digest || got[i].Descriptor.MediaType != want[i].Descriptor.MediaType {
			t.Errorf("document %d: got %s %s, want %s %s", i, got[i].Descriptor.MediaType, got[i].Data, want[i].Descriptor.MediaType, want[i].Data)
		}
	}
	for _, doc := range got {
		if strings.Contains(string(doc.Data), "annotations") || strings.Contains(string(doc.Data), "vnd.oci") {
			t.Errorf("not Docker's format: %s", doc.Data)
		}
	}
	artifact := []byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json"},"layers":[]}`)
	for name, test := range map[string]struct {
		doc  Document
		want string
	}{
		"artifact":         {Document{v1.Descriptor{MediaType: v1.MediaTypeImageManifest}, artifact}, "is an artifact"},
		"missing manifest": {index(false, manifests[:2]), "is missing"},
		"no JSON":          {Document{v1.Descriptor{MediaType: v1.MediaTypeImageIndex}, []byte("{")}, "converting manifest"},
	} {
		if _, err := ToDocker([]Document{test.doc}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}
