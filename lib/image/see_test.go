package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"chunkah/tests/mkimage"
)

// See receives each entry as it is in the tar, with its hash, in every compression format, whether
// or not contents are kept.
func TestSee(t *testing.T) {
	big := strings.Repeat("many bytes ", 40_000)
	lower := mkimage.Tar(t, mkimage.Dir("d/"), mkimage.File("d/a", "one"), mkimage.File("d/empty", ""), mkimage.File("gone", big))
	upper := mkimage.Tar(t, mkimage.File(".wh.gone", ""), mkimage.File("d/a", "two"), mkimage.Link("d/b", "d/a"), mkimage.Symlink("s", "d"))
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	want := [][]string{
		{"5 d/ " + sum(""), "0 d/a " + sum("one"), "0 d/empty " + sum(""), "0 gone " + sum(big)},
		{"0 .wh.gone " + sum(""), "0 d/a " + sum("two"), "1 d/b " + sum(""), "2 s " + sum("")},
	}
	for _, packing := range []string{mkimage.Plain, mkimage.Gzip, mkimage.Zstd} {
		for _, sums := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s sums=%v", packing, sums), func(t *testing.T) {
				img := &mkimage.Image{Layers: []mkimage.Layer{{Tar: lower, Packing: packing}, {Tar: upper, Packing: packing}}}
				var mu sync.Mutex
				got := make([][]string, 2)
				tree, err := flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{
					Sums: sums,
					See: func(layer int, h *tar.Header, sum [sha256.Size]byte) {
						mu.Lock()
						defer mu.Unlock()
						got[layer] = append(got[layer], fmt.Sprintf("%c %s %x", h.Typeflag, h.Name, sum))
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
				for i, data := range [][]byte{lower, upper} {
					if n := tree.Unpacked(i); n != int64(len(data)) {
						t.Errorf("layer %d unpacks to %d bytes, want %d", i, n, len(data))
					}
				}
				if sums {
					return
				}
				in, err := tree.Open("/d/b")
				if err != nil {
					t.Fatal(err)
				}
				if data, err := io.ReadAll(io.NewSectionReader(in, 0, 100)); err != nil || string(data) != "two" {
					t.Errorf("got %q, %v", data, err)
				}
			})
		}
	}
}

// A damaged layer is an error, even if entries were already passed to See.
func TestSeeDamage(t *testing.T) {
	img := &mkimage.Image{Layers: []mkimage.Layer{{Tar: mkimage.Tar(t, mkimage.File("a", "x"), mkimage.Link("b", "nowhere"))}}}
	var names []string
	opened, err := Open(context.Background(), Location{Transport: testLayout, Path: img.Layout(t)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Flatten(context.Background(), opened, FlattenOptions{
		See: func(_ int, h *tar.Header, _ [sha256.Size]byte) { names = append(names, h.Name) },
	})
	if err == nil || !strings.Contains(err.Error(), `"nowhere"`) || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("got %v, having seen %q", err, names)
	}
}
