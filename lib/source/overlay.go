package source

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// overlay lays trees over each other, the last one on top: directories become
// one, anything else takes the place of what is below it. It is a rootfs.Source.
type overlay struct {
	trees []*rootfs.Root // from the bottom up
}

func (o *overlay) Close() error {
	var errs []error
	for _, t := range o.trees {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}

// find returns the topmost tree that shows something at path, and what.
func (o *overlay) find(path string) (at int, st rootfs.Stat, err error) {
	for at, tree := range slices.Backward(o.trees) {
		st, err := tree.Lstat(path)
		switch {
		case err == nil:
			return at, st, nil
		case !isAbsent(err):
			return 0, st, err
		case at == 0 || hides(tree, path):
			return 0, st, err
		}
	}
	return 0, st, fs.ErrNotExist
}

// isAbsent reports whether an error says that nothing is at a physical path.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// hides reports whether a tree that has nothing at path has something above it
// that is no directory, and covers what the trees below have there.
func hides(tree *rootfs.Root, path string) bool {
	for path != "/" {
		path = format.Parent(path)
		if st, err := tree.Lstat(path); err == nil {
			return !isDir(st)
		}
	}
	return false
}

// Stat implements rootfs.Source. Images number their inodes alike, all on device
// 0, which no directory is on; so each gets a device of its own.
func (o *overlay) Stat(path string) (rootfs.Stat, error) {
	at, st, err := o.find(path)
	if st.Dev == 0 {
		st.Dev = uint64(at+1) << 48
	}
	return st, err
}

// Names implements rootfs.Source.
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
		st, err := tree.Lstat(dir)
		if at < top && isAbsent(err) && !hides(tree, dir) {
			continue
		}
		if at < top && (isAbsent(err) || err == nil && !isDir(st)) {
			break // it covers what is below
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

// Readlink implements rootfs.Source.
func (o *overlay) Readlink(path string) (target string, err error) {
	err = o.in(path, func(d *rootfs.Dir, name string) error {
		target, err = d.Readlink(name)
		return err
	})
	return target, err
}

// Xattrs implements rootfs.Source.
func (o *overlay) Xattrs(path string) (list []rootfs.Xattr, err error) {
	err = o.in(path, func(d *rootfs.Dir, name string) error {
		names, err := d.XattrNames(name)
		if err != nil {
			return err
		}
		for _, attr := range names {
			value, found, err := d.Xattr(name, attr)
			if err != nil {
				return err
			}
			if found {
				list = append(list, rootfs.Xattr{Name: attr, Value: value})
			}
		}
		return nil
	})
	return list, err
}

// Open implements rootfs.Source. A file of a directory is opened for each read: its
// reader has no end at which to close it.
func (o *overlay) Open(path string) (io.ReaderAt, error) {
	at, _, err := o.find(path)
	if err != nil {
		return nil, err
	}
	f, err := o.trees[at].OpenFile(path)
	if err != nil || f.Virtual() {
		return f, err
	}
	return reopened{o.trees[at], path}, f.Close()
}

// in calls f with the directory that path is in and its last name, which is
// empty for the root.
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

// reopened is a file that is opened when it is read.
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
