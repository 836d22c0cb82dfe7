package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"chunkah/lib/rootfs"
	mk "chunkah/tests/mkimage"
)

// The store receives the files of all layers, including files that an upper layer hides. The tree
// contains the numbers of the files and records which files were changed by a hard link.
func TestStore(t *testing.T) {
	big := func(c string) string { return strings.Repeat(c, 100000) }
	for _, packing := range []string{mk.Plain, mk.Gzip, mk.Zstd} {
		img := &mk.Image{}
		for _, entries := range [][]mk.Entry{
			{mk.File("big", big("a")).Xattr("user.x", "y"), mk.File("empty", ""), mk.File("linked", big("b")), mk.Link("same", "linked"), mk.File("gone", big("c"))},
			{mk.File(".wh.gone", ""), mk.File("big", big("d")), mk.Link("other", "linked").But(func(h *tar.Header) { h.Mode = 0o600 })},
		} {
			img.Layers = append(img.Layers, mk.Layer{Tar: mk.Tar(t, entries...), Packing: packing})
		}
		var mu sync.Mutex
		stored := map[int64]string{}
		store := func(_ context.Context, st rootfs.Stat, xattrs []rootfs.Xattr, in io.Reader) (int64, error) {
			data, err := io.ReadAll(in)
			mu.Lock()
			defer mu.Unlock()
			number := int64(len(stored))
			stored[number] = fmt.Sprintf("%.1s %o %d %d", data, st.Mode&0o7777, st.Size-int64(len(data)), len(xattrs))
			return number, err
		}
		tree, err := flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		if len(stored) != 4 {
			t.Errorf("%q: stored %v", packing, stored)
		}
		for path, want := range map[string]string{"/big": "d 644 0 0 false", "/linked": "b 644 0 0 true", "/same": "b 644 0 0 true", "/empty": ""} {
			s, found, err := tree.Stored(path)
			got := ""
			if found {
				got = fmt.Sprint(stored[s.Number], " ", s.Relinked)
			}
			if got != want || err != nil {
				t.Errorf("%q: %s: got %q, want %q, %v", packing, path, got, want, err)
			}
		}
		if _, err := tree.Open("/big"); err == nil {
			t.Errorf("%q: a stored file can be opened", packing)
		}
	}
}

// A hard link with the same metadata as its inode changes nothing. An error from the store stops
// reading.
func TestStoreErrors(t *testing.T) {
	img := &mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.File("f", "x"), mk.Link("g", "f")), Packing: mk.Gzip}}}
	src := Location{Transport: testLayout, Path: img.Layout(t)}
	full := errors.New("full")
	for _, fails := range []error{nil, full} {
		store := func(_ context.Context, _ rootfs.Stat, _ []rootfs.Xattr, in io.Reader) (int64, error) {
			_, err := io.Copy(io.Discard, in)
			return 0, errors.Join(err, fails)
		}
		tree, err := flattenSource(t, src, FlattenOptions{Store: store})
		if !errors.Is(err, fails) {
			t.Errorf("got %v, want %v", err, fails)
		}
		if fails == nil {
			if s, found, err := tree.Stored("/g"); !found || s.Relinked || err != nil {
				t.Errorf("got %+v, %v, %v", s, found, err)
			}
		}
	}
}
