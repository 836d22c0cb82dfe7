package source

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// overlay merges trees, with the last tree on top: directories are merged, other files replace
// those below. It is a rootfs.Tree.
type overlay struct {
	trees []*shown // from the bottom up
}

func newOverlay(trees []*rootfs.Root) *overlay {
	o := &overlay{}
	for _, t := range trees {
		o.trees = append(o.trees, &shown{Root: t})
	}
	return o
}

// shown is one tree of the overlay.
type shown struct {
	*rootfs.Root
	// last is the last path that was found to be missing. It is cached because a walk looks up the
	// paths below it next.
	last atomic.Pointer[absence]
}

// absence is a path that does not exist in a tree, although its parent does.
type absence struct {
	path  string
	hides bool // the parent is not a directory, so it hides the trees below
}

// covers reports whether the absence implies that path does not exist either.
func (a *absence) covers(path string) bool {
	return a != nil && len(path) >= len(a.path) && path[:len(a.path)] == a.path && (len(path) == len(a.path) || path[len(a.path)] == '/')
}

// lstat describes the file at path, or reports that it is missing.
func (s *shown) lstat(path string) (st rootfs.Stat, gone *absence, err error) {
	if gone = s.last.Load(); gone.covers(path) {
		return st, gone, nil
	}
	st, err = s.Lstat(path)
	if err == nil || !isAbsent(err) {
		return st, nil, err
	}
	gone, err = s.absent(path)
	s.last.Store(gone)
	return rootfs.Stat{}, gone, err
}

// absent returns the highest missing path: path itself or one of its parents. Nothing exists below
// a missing path, so a binary search finds it.
func (s *shown) absent(path string) (*absence, error) {
	var ends []int // where each name in path ends
	for i := 1; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			ends = append(ends, i)
		}
	}
	above := rootfs.Stat{Mode: unix.S_IFDIR} // the root
	low, high := 0, len(ends)-1              // path[:ends[high]] is missing, path[:ends[low-1]] exists
	for middle := high - 1; low < high; middle = (low + high) / 2 {
		st, err := s.Lstat(path[:ends[middle]])
		switch {
		case err == nil:
			low, above = middle+1, st
		case isAbsent(err):
			high = middle
		default:
			return nil, err
		}
	}
	return &absence{path[:ends[high]], !isDir(above)}, nil
}

func (o *overlay) Close() error {
	var errs []error
	for _, t := range o.trees {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}

// find returns the topmost tree with a file at path, and the file's metadata.
func (o *overlay) find(path string) (at int, st rootfs.Stat, err error) {
	for at, tree := range slices.Backward(o.trees) {
		st, gone, err := tree.lstat(path)
		if gone == nil || err != nil {
			return at, st, err
		}
		if gone.hides {
			break
		}
	}
	return 0, st, fs.ErrNotExist
}

// isAbsent reports whether an error means that a physical path does not exist.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// Stat implements rootfs.Tree. All images use device 0, which no directory has, and their inode
// numbers overlap. So each image gets its own device number.
func (o *overlay) Stat(path string) (rootfs.Stat, error) {
	at, st, err := o.find(path)
	if st.Dev == 0 {
		st.Dev = uint64(at+1) << 48
	}
	return st, err
}

// Names implements rootfs.Tree.
func (o *overlay) Names(dir string) ([]string, error) {
	top, st, err := o.find(dir)
	if err != nil {
		return nil, err
	}
	if !isDir(st) {
		return nil, unix.ENOTDIR
	}
	var names []string
	for at, tree := range slices.Backward(o.trees[:top+1]) {
		if at < top {
			st, gone, err := tree.lstat(dir)
			if err != nil {
				return nil, err
			}
			if gone != nil && !gone.hides {
				continue
			}
			if gone != nil || !isDir(st) {
				break // this file hides the trees below
			}
		}
		more, err := tree.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Readlink implements rootfs.Tree.
func (o *overlay) Readlink(path string) (target string, err error) {
	err = o.in(path, func(d *rootfs.Dir, name string) error {
		target, err = d.Readlink(name)
		return err
	})
	return target, err
}

// Xattrs implements rootfs.Tree.
func (o *overlay) Xattrs(path string) (list []rootfs.Xattr, err error) {
	err = o.in(path, func(d *rootfs.Dir, name string) error {
		list, err = d.Xattrs(name, func(names []string) []string { return names })
		return err
	})
	return list, err
}

// Open implements rootfs.Tree. A file in a directory is opened for each read, because its reader
// is never closed.
func (o *overlay) Open(path string) (io.ReaderAt, error) {
	at, _, err := o.find(path)
	if err != nil {
		return nil, err
	}
	f, err := o.trees[at].OpenFile(path)
	if err != nil || f.Virtual() {
		return f, err
	}
	return reopened{o.trees[at].Root, path}, f.Close()
}

// in calls f with the parent directory and last name of path. For the root directory the name is
// empty.
func (o *overlay) in(path string, f func(d *rootfs.Dir, name string) error) error {
	at, _, err := o.find(path)
	if err != nil {
		return err
	}
	d, err := o.trees[at].OpenDir(format.Parent(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return f(d, strings.TrimPrefix(path[strings.LastIndexByte(path, '/'):], "/"))
}

// reopened is a file that is opened for each read.
type reopened struct {
	tree *rootfs.Root
	path string
}

func (r reopened) ReadAt(p []byte, off int64) (int, error) {
	f, err := r.tree.OpenFile(r.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(p, off)
}

func isDir(st rootfs.Stat) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }
