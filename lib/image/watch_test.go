package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	mk "chunkah/tests/mkimage"
)

// notes is a watcher that records its calls.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) Entry(layer int, h *tar.Header) { n.note("%d entry %s", layer, h.Name) }
func (n *notes) Note(layer int, what string)    { n.note("%d note %s", layer, what) }
func (n *notes) Fault(layer int, name string, err error) {
	n.note("%d fault %s: %v", layer, name, err)
}

// A watcher receives every entry as it is in its layer, and every fault. The tree contains all
// readable files.
func TestWatch(t *testing.T) {
	img := &mk.Image{Layers: []mk.Layer{
		{Tar: mk.Tar(t, mk.Dir("./"), mk.File("../x", "x"), mk.File("a", "aa"), mk.Link("l", "none"), mk.File("z", "z")), Packing: mk.Gzip},
		{Tar: mk.Tar(t, mk.File("b", "b"), mk.File(".wh.a", ""))},
	}}
	n := &notes{}
	tree, err := flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{Watch: n})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(n.lines, func(a, b string) int { return strings.Compare(a[:2], b[:2]) })
	want := []string{
		"0 entry ./", "0 entry ../x", `0 fault ../x: leads out of the root with ".."`, "0 entry a", "0 entry l", "0 entry z",
		`0 fault l: is a hard link to "none", which does not exist`, "1 entry b", "1 entry .wh.a",
	}
	if !slices.Equal(n.lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(n.lines, "\n"), strings.Join(want, "\n"))
	}
	if names, err := tree.Names("/"); err != nil || !slices.Equal(names, []string{"b", "z"}) {
		t.Errorf("the tree has %q, %v", names, err)
	}
}

// With a watcher, cancellation is an error too.
func TestWatchStops(t *testing.T) {
	img, err := Open(context.Background(), Location{Transport: testLayout, Path: (&mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.File("a", "a"))}}}).Layout(t)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stopped)
	n := &notes{}
	if _, err := Flatten(ctx, img, FlattenOptions{Watch: n}); !errors.Is(err, stopped) || len(n.lines) > 0 {
		t.Errorf("the error is %v, the notes are %q", err, n.lines)
	}
}

// Sums contains the hashes of the contents, and nothing is spooled for them.
func TestSums(t *testing.T) {
	img := &mk.Image{}
	for _, packing := range []string{mk.Gzip, mk.Zstd, mk.Plain} {
		name := "f" + packing
		img.Layers = append(img.Layers, mk.Layer{Packing: packing, Tar: mk.Tar(t, mk.File(name, strings.Repeat(name, 1000)), mk.File("empty"+packing, ""))})
	}
	img.Layers = append(img.Layers, mk.Layer{Tar: mk.Tar(t, mk.Link("link", "f"), mk.Dir("d"))})
	src := Location{Transport: testLayout, Path: img.Layout(t)}
	tree, err := flattenSource(t, src, FlattenOptions{Sums: true, Spool: t.TempDir() + "/none"})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := flattenSource(t, src, FlattenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names, err := whole.Names("/")
	if err != nil || len(names) != 8 {
		t.Fatalf("%q, %v", names, err)
	}
	for _, name := range names {
		st, err := whole.Stat("/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := tree.Sum("/" + name)
		if name == "d" {
			if err == nil {
				t.Error("a directory has a sum")
			}
			continue
		}
		in, openErr := whole.Open("/" + name)
		if err != nil || openErr != nil {
			t.Fatal(err, openErr)
		}
		data, err := io.ReadAll(io.NewSectionReader(in, 0, st.Size))
		if err != nil || sha256.Sum256(data) != sum {
			t.Errorf("%s: the sum is %x, %v", name, sum, err)
		}
		if _, err := tree.Open("/" + name); err == nil && st.Size > 0 {
			t.Errorf("%s: it can be opened", name)
		}
	}
	if _, err := tree.Sum("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the sum of nothing: %v", err)
	}
}

func TestEntryPath(t *testing.T) {
	for name, want := range map[string]string{
		"./": "/ false", "./a/b/": "/a/b false", "a/.wh.b": "/a/b true", "a/.wh..wh..opq": "/a true", "../a": "error", ".wh.": "error", "a/../.wh.b": "/b true",
	} {
		path, whiteout, err := EntryPath(name)
		got := fmt.Sprint(path, " ", whiteout)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
