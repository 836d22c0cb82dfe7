package format

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// oddNames sort differently as whole strings and as path elements.
var oddNames = []string{"a", "a-b", "a.b", "a b", "ab", "b", "-", "!", "~", "A", "é", "日", "\x01", "0"}

func TestComparePathsIsWalkDirOrder(t *testing.T) {
	root := t.TempDir()
	for _, dir := range oddNames[:6] {
		for _, sub := range oddNames[:4] {
			for _, name := range oddNames {
				p := filepath.Join(root, dir, sub, name)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var walked []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, _ fs.DirEntry, err error) error {
		walked = append(walked, "/"+strings.TrimPrefix(path, "."))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(walked) < 300 {
		t.Fatalf("walked over %d names only", len(walked))
	}
	sorted := slices.Clone(walked)
	rand.Shuffle(len(sorted), func(i, j int) { sorted[i], sorted[j] = sorted[j], sorted[i] })
	slices.SortFunc(sorted, ComparePaths)
	if !slices.Equal(sorted, walked) {
		t.Errorf("got %q\nwant %q", sorted, walked)
	}
}

func TestComparePathsIsATotalOrder(t *testing.T) {
	paths := []string{"/"}
	for _, a := range oddNames {
		paths = append(paths, "/"+a, "/"+a+"\xff")
		for _, b := range oddNames[:8] {
			paths = append(paths, "/"+a+"/"+b, "/"+a+"/"+b+"/"+a)
		}
	}
	// This must be the same order as comparing the path elements one by one.
	names := func(path string) []string { return strings.Split(path[1:], "/") }
	for _, a := range paths {
		for _, b := range paths {
			got, want := ComparePaths(a, b), slices.Compare(names(a), names(b))
			if got != want || got != -ComparePaths(b, a) {
				t.Errorf("%q, %q: got %d, and %d the other way round, want %d", a, b, got, ComparePaths(b, a), want)
			}
		}
	}
}

func TestParentAndBaseAreJoinedAgain(t *testing.T) {
	for path, want := range map[string][2]string{
		"/": {"/", ""}, "/a": {"/", "a"}, "/a/b": {"/a", "b"}, "/a/b/c": {"/a/b", "c"}, "/a b/-": {"/a b", "-"},
	} {
		parent, base := Parent(path), Base(path)
		if got := [2]string{parent, base}; got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
		if got := Join(parent, base); got != path {
			t.Errorf("%q: joined again it is %q", path, got)
		}
	}
}

func TestCheckPath(t *testing.T) {
	long := strings.Repeat("/"+strings.Repeat("n", MaxName), MaxPath/(MaxName+1))
	for _, test := range []struct {
		name, path string
		class      Class // "" for a valid path
	}{
		{"root", "/", ""},
		{"plain", "/usr/bin/sh", ""},
		{"not UTF-8", "/\xff\xfe", ""},
		{"three dots", "/.../..a/b..", ""},
		{"newline and backslash", "/a\nb\\x2d", ""},
		{"name of 255 bytes", "/" + strings.Repeat("n", MaxName), ""},
		{"path of 1 MiB", long, ""},
		{"empty", "", ClassValue},
		{"relative", "usr", ClassValue},
		{"dot", "/.", ClassValue},
		{"dot dot", "/..", ClassValue},
		{"dot dot inside", "/a/../b", ClassValue},
		{"two slashes", "//", ClassValue},
		{"empty name", "/a//b", ClassValue},
		{"slash at the end", "/a/", ClassValue},
		{"NUL", "/a\x00", ClassValue},
		{"whiteout", "/a/.wh.b", ClassValue},
		{"opaque whiteout", "/.wh..wh..opq", ClassValue},
		{"almost a whiteout", "/.wh/a.wh.b", ""},
		{"name of 256 bytes", "/" + strings.Repeat("n", MaxName+1), ClassLimit},
		{"path beyond 1 MiB", long + "/a", ClassLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := checkPath(test.path)
			if got := classOf(err); got != test.class {
				t.Errorf("got class %q (%v), want %q", got, err, test.class)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("got an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// classOf returns the class of an error from this package, or "" if err is nil.
func classOf(err error) Class {
	var f *fault
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Class
	case errors.As(err, &f):
		return f.class
	}
	return "none"
}

func TestText(t *testing.T) {
	for _, test := range []struct{ name, bytes, want string }{
		{"empty", "", ""},
		{"ASCII", "/a", "/a"},
		{"UTF-8", "/é日😀", "/é日😀"},
		{"a real replacement character", "\ufffd", "\ufffd"},
		{"one bad byte", "a\xffb", "a\ufffdb"},
		{"two bad bytes", "\xff\xfe", "\ufffd\ufffd"},
		{"a sequence that is cut", "\xe6\x97", "\ufffd\ufffd"},
		{"a sequence that is cut by another", "\xe6\x97é", "\ufffd\ufffdé"},
		{"an overlong form", "\xc0\xaf", "\ufffd\ufffd"},
		{"a surrogate", "\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
		{"beyond Unicode", "\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},
	} {
		if got := Text(test.bytes); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
