package image

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	mk "chunkah/tests/mkimage"
)

// openLayers makes an image from these layers and opens it.
func openLayers(t *testing.T, layers ...[]mk.Entry) *Image {
	t.Helper()
	made := &mk.Image{}
	for _, entries := range layers {
		made.Layers = append(made.Layers, mk.Layer{Tar: mk.Tar(t, entries...), Packing: mk.Gzip})
	}
	img, err := Open(context.Background(), Location{Transport: testLayout, Path: made.Layout(t)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, img) })
	return img
}

func flattenKeeping(t *testing.T, keep int, img *Image) *Tree {
	t.Helper()
	tree, err := Flatten(context.Background(), img, FlattenOptions{Spool: t.TempDir(), Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, tree) })
	return tree
}

// origins lists the layer of each path.
func origins(t *testing.T, tree *Tree, paths ...string) string {
	t.Helper()
	var b strings.Builder
	for _, p := range paths {
		layer, err := tree.Layer(p)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %d\n", p, layer)
	}
	return b.String()
}

// The tree records each file's layer.
func TestLayersOfATree(t *testing.T) {
	tree := flattenKeeping(t, 0, openLayers(t,
		[]mk.Entry{mk.Dir("etc"), mk.File("etc/a", "1"), mk.File("etc/b", "1"), mk.Dir("one"), mk.File("one/x", "1"), mk.File("linked", "1")},
		[]mk.Entry{mk.File("one/y", "1")},
		[]mk.Entry{mk.Dir("etc"), mk.File("etc/b", "2"), mk.Dir("two"), mk.File("two/x", "2"), mk.File("own", "2")},
		[]mk.Entry{mk.File("etc/.wh.a", ""), mk.Link("two/link", "own"), mk.File("one/z", "2")}))
	got := origins(t, tree, "/etc", "/etc/b", "/one", "/one/x", "/one/y", "/one/z", "/two", "/two/link", "/own", "/linked")
	want := "/etc 2\n/etc/b 2\n/one 0\n/one/x 0\n/one/y 1\n/one/z 3\n/two 2\n/two/link 3\n/own 3\n/linked 0\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if len(tree.Gone()) > 0 {
		t.Errorf("gone is %q", tree.Gone())
	}
	empty := flattenKeeping(t, 0, openLayers(t))
	if st, err := empty.Stat("/"); err != nil || st.Mode != impliedDir(0).mode || origins(t, empty, "/") != "/ 0\n" {
		t.Errorf("a tree of no layers: %+v, %v", st, err)
	}
}

// Paths in kept layers that are missing from the tree are reported.
func TestGone(t *testing.T) {
	base := []mk.Entry{
		mk.Dir("d"), mk.Dir("d/e"), mk.File("d/e/x", ""), mk.File("d/f", ""), mk.File("g", ""), mk.Dir("h"), mk.File("h/x", ""), mk.File("h/y", ""),
		mk.File("stays", ""), mk.Dir("swap"), mk.File("swap/x", ""), mk.File("late", ""),
	}
	for name, test := range map[string]struct {
		layers layers
		keep   int
		want   []string
	}{
		"nothing is kept": {layers{base, {mk.File(".wh.g", "")}}, 0, nil},
		"all is kept":     {layers{base, {mk.File(".wh.g", "")}}, 2, nil},
		"files and directories": {layers{base, {mk.File(".wh.g", ""), mk.File(".wh.d", ""), mk.File("h/.wh.x", "")}}, 1,
			[]string{"/d", "/g", "/h/x"}},
		"a directory that comes back": {layers{base, {mk.File(".wh.d", "")}, {mk.Dir("d"), mk.File("d/f", "")}}, 1, []string{"/d/e"}},
		"an opaque one":               {layers{base, {mk.Dir("h"), mk.File("h/.wh..wh..opq", ""), mk.File("h/new", "")}}, 1, []string{"/h/x", "/h/y"}},
		"replaced by a file":          {layers{base, {mk.File("swap", "")}}, 1, nil},
		"replaced by a directory":     {layers{base, {mk.Dir("g"), mk.File("g/x", "")}}, 1, nil},
		"gone in the kept layers":     {layers{base, {mk.File(".wh.g", "")}, {mk.File(".wh.late", "")}}, 2, []string{"/late"}},
		"gone and added again":        {layers{base, {mk.File(".wh.g", "")}, {mk.File("g", "")}}, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tree := flattenKeeping(t, test.keep, openLayers(t, test.layers...))
			if !slices.Equal(tree.Gone(), test.want) {
				t.Errorf("got %q, want %q", tree.Gone(), test.want)
			}
		})
	}
	_, err := Flatten(context.Background(), openLayers(t, base, base), FlattenOptions{Keep: 3})
	if err == nil || !strings.Contains(err.Error(), "cannot keep 3 layers: there are only 2") {
		t.Errorf("got %v", err)
	}
}

// If a layer above the kept layers adds a hard link to an inode, all hard links to the inode belong
// to that layer, because overlay storage cannot link to a file in a lower layer.
func TestLinkMovesInode(t *testing.T) {
	tree := flattenKeeping(t, 1, openLayers(t, []mk.Entry{mk.File("a", ""), mk.File("b", "")}, []mk.Entry{mk.Link("c", "a")}))
	if got, want := origins(t, tree, "/a", "/b", "/c"), "/a 1\n/b 0\n/c 1\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
