package rootfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/tests/bound"
)

// few is a source that contains three symlinks below two directories.
type few struct{ links [3]string }

// places lists the types of the paths in few.
var places = map[string]uint32{
	"/": unix.S_IFDIR, "/d": unix.S_IFDIR, "/d/e": unix.S_IFDIR, "/d/f": unix.S_IFREG,
	"/0": unix.S_IFLNK, "/d/1": unix.S_IFLNK, "/d/e/2": unix.S_IFLNK,
}

func (few) Close() error                     { return nil }
func (few) Names(string) ([]string, error)   { return nil, nil }
func (few) Xattrs(string) ([]Xattr, error)   { return nil, nil }
func (few) Open(string) (io.ReaderAt, error) { return nil, fs.ErrNotExist }

func (few) Stat(path string) (Stat, error) {
	kind, found := places[path]
	if !found {
		return Stat{}, fs.ErrNotExist
	}
	return Stat{Mode: kind}, nil
}

func (s few) Readlink(path string) (string, error) { return s.links[path[len(path)-1]-'0'], nil }

// FuzzResolve checks, for arbitrary links, that a path resolves to the same result as with a simple
// reference resolver. The result is a path inside the tree that is not a link.
func FuzzResolve(f *testing.F) {
	f.Add("/0/1/2", "d", "e", "../f")
	f.Add("0/../../d/./1//", "/", "../0", "2")
	f.Add("/d/e/2", "d/e/2", "\x00", strings.Repeat("d/../", 100))
	f.Add("/d/f/..", "d/f/", "//", ".")
	f.Fuzz(func(t *testing.T, path, a, b, c string) {
		bound.Input(t, len(path)+len(a)+len(b)+len(c))
		if len(path)+len(a)+len(b)+len(c) > 4<<10 || slices.Contains([]string{a, b, c}, "") {
			t.Skip("not a valid symlink")
		}
		source := few{[3]string{a, b, c}}
		got, err := Virtual("fuzzed", source).Resolve(path)
		if err == nil && (places[got] == 0 || places[got] == unix.S_IFLNK) {
			t.Fatalf("%q is %q", path, got)
		}
		if err != nil && !strings.Contains(err.Error(), "resolving") {
			t.Fatalf("the error does not name the path: %v", err)
		}
		want, ok := referenceResolve(source, path)
		if ok != (err == nil) || ok && got != want {
			t.Fatalf("%q is %q, %v, want %q, %t", path, got, err, want, ok)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ELOOP) && !strings.ContainsAny(path+a+b+c, "\x00") &&
			!slices.ContainsFunc(strings.Split(path+"/"+a+"/"+b+"/"+c, "/"), func(name string) bool { return len(name) > unix.NAME_MAX }) {
			t.Fatalf("%q: %v", path, err)
		}
	})
}

// referenceResolve resolves a path one name at a time, as described in path_resolution(7).
func referenceResolve(s few, path string) (string, bool) {
	var at []string
	left := strings.Split(path, "/")
	for links := 0; len(left) > 0; {
		name := left[0]
		left = left[1:]
		here := "/" + strings.Join(at, "/")
		switch {
		case name == "":
			continue
		case places[here] != unix.S_IFDIR:
			return "", false
		case name == ".":
			continue
		case name == "..":
			at = at[:max(0, len(at)-1)]
			continue
		}
		next := strings.TrimSuffix(here, "/") + "/" + name
		switch places[next] {
		case 0:
			return "", false
		case unix.S_IFLNK:
			if links++; links > maxLinks {
				return "", false
			}
			target, _ := s.Readlink(next)
			if target[0] == '/' {
				at = nil
			}
			left = append(strings.Split(target, "/"), left...)
		default:
			at = append(at, name)
		}
	}
	return "/" + strings.Join(at, "/"), true
}
