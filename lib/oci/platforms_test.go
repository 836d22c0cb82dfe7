package oci

import (
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestIndexBuild(t *testing.T) {
	one, two := descriptor("one"), descriptor("two")
	one.MediaType, two.MediaType = v1.MediaTypeImageManifest, v1.MediaTypeImageManifest
	one.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	two.Platform = &v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	x := Index{Manifests: []v1.Descriptor{one, two}, Annotations: map[string]string{"k": "<v>"}, Ref: "localhost/app:1"}
	index, root, err := x.Build()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "joined.json", index.Data)
	golden(t, "joined-index.json", root)
	if index.Descriptor.Size != int64(len(index.Data)) || !strings.Contains(string(root), index.Descriptor.Digest.String()) {
		t.Errorf("descriptor %+v does not fit", index.Descriptor)
	}
	for name, test := range map[string]struct {
		change func(*Index)
		want   string
	}{
		"name":       {func(x *Index) { x.Ref = "a b" }, "invalid reference"},
		"annotation": {func(x *Index) { x.Annotations = map[string]string{"": "v"} }, "has no key"},
		"digest":     {func(x *Index) { x.Manifests = []v1.Descriptor{{Digest: "sha256:x"}} }, `digest "sha256:x"`},
		"size":       {func(x *Index) { x.Annotations = map[string]string{"k": strings.Repeat("x", MaxDocument)} }, "exceed the"},
	} {
		y := x
		test.change(&y)
		if _, _, err := y.Build(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, test.want)
		}
	}
}
