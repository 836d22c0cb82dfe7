package inspect

import (
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/plan"
	"chunkah/tests/bound"
)

// FuzzDescribe checks that, whatever history and annotations contain, numbers are in range or
// Unknown, and there are as many fingerprints as components or none.
func FuzzDescribe(f *testing.F) {
	f.Add(`{"layer":{"index":1,"components":["a","b"],"fingerprints":["1","2"],"stability_ppm":5}}`, plan.Author, "", "0.5")
	f.Add("a b", plan.Author, plan.Author, "1.000000")
	f.Add("a, b", plan.Author, "", "NaN")
	f.Add(`{"layer":{"components":["a"]}} {"end":{}}`, "RUN x", "y", "1e-9")
	f.Fuzz(func(t *testing.T, comment, createdBy, author, stability string) {
		bound.Input(t, len(comment)+len(stability))
		l := image.Layer{History: v1.History{Comment: comment, CreatedBy: createdBy, Author: author}}
		l.Descriptor.Annotations = map[string]string{annotationStability: stability}
		d := describe(l)
		if d.Stability != Unknown && (d.Stability < 0 || d.Stability > ppm) || d.Bytes != Unknown && d.Bytes < 0 {
			t.Errorf("got %+v", d)
		}
		if n := len(d.Fingerprints); n > 0 && n != len(d.Components) || !d.Own && len(d.Components) > 0 || len(d.Components) > len(comment) {
			t.Errorf("got %+v", d)
		}
	})
}
