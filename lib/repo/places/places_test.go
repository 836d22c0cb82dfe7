package places

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
)

// treeOf makes a tree of a root with records for the given paths. Directories have a trailing
// slash.
func treeOf(t testing.TB, dir string, paths ...string) *assign.Tree {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	var files []*format.File
	for _, path := range paths {
		f := &format.File{Path: strings.TrimSuffix(path, "/"), Type: format.TypeFile}
		switch {
		case path == "/":
			f.Path, f.Type = "/", format.TypeDir
		case f.Path != path:
			f.Type = format.TypeDir
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *format.File) int { return format.ComparePaths(a.Path, b.Path) })
	return assign.NewTree(root, files)
}

func describe(r *assign.Result) (lines []string) {
	for _, c := range r.Claims {
		lines = append(lines, fmt.Sprint(c.File, " ", c.Package.Component.Name))
	}
	return lines
}

// TestResult checks names, order and omissions for any order of calls.
func TestResult(t *testing.T) {
	tree := treeOf(t, t.TempDir(), "/a/", "/a/1", "/a/2", "/b/", "/b/1", "/b/empty/", "/c/1", "/d/1")
	tree.Files[1].Components = []string{"rpm/x"}
	tree = assign.NewTree(tree.Root, tree.Files)
	calls := []func(c *Collector){
		func(c *Collector) { c.Claim(c.Add("/a", "x"), 1) }, // claimed before
		func(c *Collector) { c.Claim(c.Add("/a", "y"), 2) },
		func(c *Collector) { c.Claim(c.Add("/b", "x"), 3) }, // not empty
		func(c *Collector) { c.Claim(c.Add("/b", "x"), 4) },
		func(c *Collector) { c.Claim(c.Add("/b", "x"), 4) },
		func(c *Collector) { c.Claim(c.Add("/b", "x"), 5) },
		func(c *Collector) { c.Claim(c.Add("/c", "x"), 6) },
		func(c *Collector) { c.Claim(c.Add("/d\xff"+strings.Repeat("d", format.MaxText), "x"), 7) },
		func(c *Collector) { c.Add("/e", "unused") },
	}
	want := []string{"2 r/y", "4 r/x", "5 r/x", "6 r/x@/c", "7 r/x"}
	for range len(calls) {
		calls = append(calls[1:], calls[0])
		c := New("r", tree)
		for _, call := range calls {
			call(c)
		}
		r := c.Result()
		if got := slices.Compact(slices.Sorted(slices.Values(describe(r)))); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if len(r.Packages) != 4 || r.Packages[0].Name != "x" && r.Packages[0].Name != "y" {
			t.Errorf("got %+v", r)
		}
	}
}

func TestWarnings(t *testing.T) {
	c := New("r", treeOf(t, t.TempDir()))
	if c.Result() != nil {
		t.Error("nothing is something")
	}
	for i := range maxWarnings + 5 {
		c.Warn("number %d", i)
	}
	r := c.Result()
	if n := len(r.Warnings); n != maxWarnings+1 || r.Warnings[0] != "r: number 0" || r.Warnings[n-1] != "r: and 5 more warnings" {
		t.Errorf("got %q", r.Warnings)
	}
}

func TestReadRecord(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"good": "12345678", "long": "123456789"} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	tree := treeOf(t, dir, "/dir", "/gone", "/good", "/long", "/other/")
	for i, want := range []error{rootfs.ErrNotRegular, fs.ErrNotExist, nil, errors.New("is larger than 8 bytes"), rootfs.ErrNotRegular} {
		raw, fault, err := ReadRecord(tree, i, 8)
		switch {
		case want == nil:
			if fault != nil || err != nil || string(raw) != "12345678" {
				t.Errorf("got %q, %v, %v", raw, fault, err)
			}
		case err != nil || fault == nil || !errors.Is(fault, want) && !strings.HasSuffix(fault.Error(), want.Error()):
			t.Errorf("%s: got %v, %v, want the fault %v", tree.Files[i].Path, fault, err, want)
		}
	}
	broken := errors.New("input/output error")
	tree = assign.NewTree(rootfs.Virtual("disk", disk{broken}), []*format.File{{Path: "/x", Type: format.TypeFile}})
	if _, fault, err := ReadRecord(tree, 0, 8); fault != nil || !errors.Is(err, broken) {
		t.Errorf("a read error: got %v, %v", fault, err)
	}
}

func TestOutermost(t *testing.T) {
	got := Outermost(map[string]int{"/a/b": 1, "/a/b/c/d": 2, "/a/bc": 3, "/": 4, "/x": 5})
	if !slices.Equal(got, []string{"/"}) {
		t.Errorf("got %q", got)
	}
	got = Outermost(map[string]int{"/a/b": 1, "/a/b/c/d": 2, "/a/bc": 3, "/x": 5})
	if !slices.Equal(got, []string{"/a/b", "/a/bc", "/x"}) {
		t.Errorf("got %q", got)
	}
}
