// Package treediff compares two directory trees in everything that an image can keep: paths, types,
// bytes, modes, owners, device numbers, hard-link groups, symlink targets, xattrs and, on request,
// mtimes.
package treediff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
)

// Options specify what is compared. The zero value compares everything except mtimes.
type Options struct {
	// Mtimes also compares modification times, in whole seconds.
	Mtimes bool
	// SkipXattr ignores an extended attribute in both trees.
	SkipXattr func(path, name string, value []byte) bool
	// SkipPath ignores a path and everything below it in both trees. Paths are absolute in the
	// tree.
	SkipPath func(path string) bool
}

// Compare returns one line for every difference, sorted by path, and no lines if the trees are
// equal. Paths are quoted as in Go.
func Compare(a, b string, opt Options) ([]string, error) {
	left, err := read(a, opt)
	if err != nil {
		return nil, err
	}
	right, err := read(b, opt)
	if err != nil {
		return nil, err
	}
	var diffs []string
	for _, path := range union(left, right) {
		l, r := left[path], right[path]
		switch {
		case l == nil:
			diffs = append(diffs, fmt.Sprintf("%q: only in the second tree (%s)", path, r.kind))
		case r == nil:
			diffs = append(diffs, fmt.Sprintf("%q: only in the first tree (%s)", path, l.kind))
		default:
			found, err := compare(l, r, opt)
			if err != nil {
				return nil, err
			}
			for _, d := range found {
				diffs = append(diffs, fmt.Sprintf("%q: %s", path, d))
			}
		}
	}
	return diffs, nil
}

// maxShown is the largest number of differences that Equal prints.
const maxShown = 40

// Equal fails the test with every difference between want and got.
func Equal(t testing.TB, want, got string, opt Options) {
	t.Helper()
	diffs, err := Compare(want, got, opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(diffs) > 0 {
		shown := diffs[:min(len(diffs), maxShown)]
		t.Errorf("%d differences between %s and %s:\n%s", len(diffs), want, got, strings.Join(shown, "\n"))
	}
}

// An entry contains the data of one file.
type entry struct {
	full   string // path on disk
	kind   string
	stat   unix.Stat_t
	target string
	xattrs map[string][]byte
	names  []string // all names of the inode within the tree, sorted
}

var kinds = map[uint32]string{
	unix.S_IFREG: "file", unix.S_IFDIR: "dir", unix.S_IFLNK: "symlink", unix.S_IFIFO: "fifo",
	unix.S_IFSOCK: "socket", unix.S_IFCHR: "char", unix.S_IFBLK: "block",
}

// read walks the tree at dir. The keys of the result are absolute paths within the tree.
func read(dir string, opt Options) (map[string]*entry, error) {
	type inode struct{ dev, ino uint64 }
	entries := map[string]*entry{}
	names := map[inode][]string{}
	err := filepath.WalkDir(dir, func(full string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(full, filepath.Clean(dir))
		if path == "" {
			path = "/"
		}
		if opt.SkipPath != nil && opt.SkipPath(path) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		e, err := readEntry(full, path, opt)
		if err != nil {
			return err
		}
		entries[path] = e
		if e.kind != "dir" {
			key := inode{uint64(e.stat.Dev), e.stat.Ino}
			names[key] = append(names[key], path)
		}
		return nil
	})
	for _, group := range names {
		sort.Strings(group)
		for _, path := range group {
			entries[path].names = group
		}
	}
	return entries, err
}

// readEntry reads one file's metadata.
func readEntry(full, path string, opt Options) (*entry, error) {
	e := &entry{full: full, xattrs: map[string][]byte{}}
	if err := unix.Lstat(full, &e.stat); err != nil {
		return nil, &os.PathError{Op: "lstat", Path: full, Err: err}
	}
	e.kind = kinds[e.stat.Mode&unix.S_IFMT]
	if e.kind == "symlink" {
		var err error
		if e.target, err = os.Readlink(full); err != nil {
			return nil, err
		}
	}
	list, err := xattr.LList(full)
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		return nil, err
	}
	for _, name := range list {
		value, err := xattr.LGet(full, name)
		if err != nil {
			return nil, err
		}
		if opt.SkipXattr == nil || !opt.SkipXattr(path, name, value) {
			e.xattrs[name] = value
		}
	}
	return e, nil
}

// compare describes the differences between two files with the same path.
func compare(l, r *entry, opt Options) (diffs []string, err error) {
	differ := func(what string, left, right any) {
		if left != right {
			diffs = append(diffs, fmt.Sprintf("%s: %v and %v", what, left, right))
		}
	}
	if l.kind != r.kind {
		differ("type", l.kind, r.kind)
		return diffs, nil
	}
	// A symlink's mode has no effect on Linux.
	if l.kind != "symlink" {
		differ("mode", fmt.Sprintf("%04o", l.stat.Mode&0o7777), fmt.Sprintf("%04o", r.stat.Mode&0o7777))
	}
	differ("uid", l.stat.Uid, r.stat.Uid)
	differ("gid", l.stat.Gid, r.stat.Gid)
	differ("target", fmt.Sprintf("%q", l.target), fmt.Sprintf("%q", r.target))
	if !slices.Equal(l.names, r.names) { // an inode can have thousands of names
		differ("names of the inode", fmt.Sprintf("%q", l.names), fmt.Sprintf("%q", r.names))
	}
	if l.kind == "char" || l.kind == "block" {
		differ("device", device(l), device(r))
	}
	if opt.Mtimes {
		differ("mtime", l.stat.Mtim.Sec, r.stat.Mtim.Sec)
	}
	for _, name := range union(l.xattrs, r.xattrs) {
		differ("xattr "+name, show(l.xattrs, name), show(r.xattrs, name))
	}
	if l.kind == "file" {
		same, err := sameBytes(l.full, r.full)
		if err != nil {
			return nil, err
		}
		if !same {
			diffs = append(diffs, fmt.Sprintf("contents differ (%d and %d bytes)", l.stat.Size, r.stat.Size))
		}
	}
	return diffs, nil
}

func device(e *entry) string {
	return fmt.Sprintf("%d:%d", unix.Major(uint64(e.stat.Rdev)), unix.Minor(uint64(e.stat.Rdev)))
}

func show(xattrs map[string][]byte, name string) string {
	value, ok := xattrs[name]
	if !ok {
		return "none"
	}
	return fmt.Sprintf("%q", value)
}

// sameBytes compares the contents of two regular files.
func sameBytes(a, b string) (same bool, err error) {
	f, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer g.Close()
	x, y := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, errF := io.ReadFull(f, x)
		m, errG := io.ReadFull(g, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if errF != nil || errG != nil {
			return ended(errF) && ended(errG), nil
		}
	}
}

func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// union returns the keys of both maps, sorted.
func union[V any](a, b map[string]V) []string {
	keys := make([]string, 0, len(a))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}
