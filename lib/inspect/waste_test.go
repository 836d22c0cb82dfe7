package inspect

import (
	"archive/tar"
	"slices"
	"testing"

	"chunkah/tests/mkimage"
)

// A file is hidden if a higher layer replaces or deletes it or its directory.
func TestWaste(t *testing.T) {
	layer := func(entries ...mkimage.Entry) mkimage.Layer {
		return mkimage.Layer{Tar: mkimage.Tar(t, entries...)}
	}
	in := read(t, &mkimage.Image{Layers: []mkimage.Layer{
		layer(mkimage.Dir("d"), mkimage.File("d/deleted", "12345"), mkimage.File("d/stays", "1"), mkimage.Dir("o"), mkimage.File("o/opaque", "123"),
			mkimage.File("same", "1234567"), mkimage.File("changed", "12"), mkimage.Dir("becomes"), mkimage.File("becomes/link", "1234")),
		layer(mkimage.Dir("d"), mkimage.File("d/.wh.deleted", ""), mkimage.Dir("o"), mkimage.File("o/.wh..wh..opq", ""), mkimage.File("o/new", "1"),
			mkimage.File("same", "1234567").But(func(h *tar.Header) { h.Mode = 0o600 }), mkimage.File("changed", "123"), mkimage.Symlink("becomes", "d")),
		layer(mkimage.File("changed", "1")),
	}}, Options{})
	w := in.Waste()
	var hidden []string
	for i, flags := range w.Hidden {
		for j, flag := range flags {
			if flag {
				hidden = append(hidden, in.Layers[i].Entries[j].Path)
			}
		}
	}
	want := []string{"/d/deleted", "/o/opaque", "/same", "/changed", "/becomes/link", "/changed"}
	if !slices.Equal(hidden, want) {
		t.Errorf("hidden are %q, want %q", hidden, want)
	}
	if w.Files != 6 || w.Bytes != 5+3+7+2+4+3 || w.Doubled != 7 || w.All != 5+1+3+7+2+4+1+7+3+1 {
		t.Errorf("got %+v", w)
	}
	if got := w.Efficiency(); got != 294_117 { // 10 of 34 bytes
		t.Errorf("the efficiency is %d", got)
	}
	if one := read(t, &mkimage.Image{Layers: []mkimage.Layer{layer(mkimage.File("a", ""))}}, Options{}).Waste(); one.Efficiency() != 1_000_000 || one.Files != 0 {
		t.Errorf("got %+v", one)
	}
}
