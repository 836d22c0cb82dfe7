package verify

import (
	"context"
	"slices"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/image"
	"chunkah/lib/patch"
	"chunkah/lib/plan"
	"chunkah/lib/transport"
	mk "chunkah/tests/mkimage"
)

// A wrong digest of a layer's entries is a fault, and hidden files are listed if requested.
func TestEntriesOfLayers(t *testing.T) {
	files := []*format.File{
		{Path: "/", Type: format.TypeDir, Mode: 0o755, MTime: mk.Time.Unix()},
		{Path: "/e", Type: format.TypeFile, Mode: 0o644, MTime: mk.Time.Unix(), Digest: format.EmptyDigest},
	}
	right, err := plan.EntriesOf(slices.Values(files))
	if err != nil {
		t.Fatal(err)
	}
	for entries, faults := range map[string]int{right: 0, format.EmptyDigest.String(): 1, "": 0} {
		comment, err := plan.Comment(&format.Layer{Components: []string{"a"}, Entries: entries})
		if err != nil {
			t.Fatal(err)
		}
		img := &mk.Image{Layers: []mk.Layer{
			{Tar: mk.Tar(t, mk.Dir("./"), mk.File("e", "")), History: v1.History{CreatedBy: plan.Author, Comment: comment}},
			{Tar: mk.Tar(t, mk.File(".wh.e", "")), History: v1.History{CreatedBy: "another tool"}},
		}}
		r, err := Run(context.Background(), image.Location{Transport: transport.Layout, Path: img.Layout(t)}, Options{Stale: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Faults) != faults {
			t.Errorf("entries %q: got %v, want %d faults", entries, r.Faults, faults)
		}
		if len(r.Stale) != 1 || len(r.Stale[0].Layers) != 1 || r.Stale[0].Layers[0].HiddenBy[1] != patch.Shadows([]patch.Layer{{Files: filelist.Of(files...)}})[0].Bytes {
			t.Errorf("stale: %+v", r.Stale)
		}
	}
}
