package rootfs

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// Tree is a virtual tree, such as the tree of an image. Paths are physical and clean, and "/" is
// the root. For missing files, errors wrap fs.ErrNotExist. A Tree is safe for concurrent use.
// Images never change. For directories, Stat shows what changed during reading.
type Tree interface {
	// Stat describes the file at path, without following a symlink. Dev, Ino and Links identify
	// hard links as in a file system.
	Stat(path string) (Stat, error)
	// Names returns the names in a directory, sorted by bytes. The caller must not change the list.
	Names(dir string) ([]string, error)
	Readlink(path string) (string, error)
	// Xattrs returns all extended attributes, sorted by name.
	Xattrs(path string) ([]Xattr, error)
	// Open returns the contents of a regular file. The length is the size reported by Stat. The
	// reader need not be closed, is valid as long as the tree, and can be used by only one
	// goroutine.
	Open(path string) (io.ReaderAt, error)
	// Close releases the tree's resources. It can be called twice. Root.Close calls it.
	Close() error
}

// Xattr is an extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}

// Virtual returns a root with a virtual tree, so that all code that reads directories can read
// images too. name replaces the path of a directory.
func Virtual(name string, tree Tree) *Root {
	return &Root{path: name, tree: tree}
}

// openVirtual opens a directory of a virtual tree.
func (r *Root) openVirtual(path string) (*Dir, error) {
	if rel := strings.TrimPrefix(path, "/"); rel != "" {
		if err := checkPath(rel); err != nil {
			return nil, err
		}
	}
	st, err := r.tree.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, unix.ENOTDIR
	}
	return &Dir{fd: noFD, root: r, path: path}, nil
}

// noFD is the descriptor of virtual directories and files.
const noFD = -1

// openVirtual opens the file called name in the directory.
func (d *Dir) openVirtual(f *File, name string) error {
	st, err := d.root.tree.Stat(d.join(name))
	if err != nil {
		return err
	}
	if !st.Regular() {
		return ErrNotRegular
	}
	contents, err := d.root.tree.Open(d.join(name))
	if err != nil {
		return err
	}
	f.fd, f.opened, f.tree, f.contents = noFD, st, d.root.tree, io.NewSectionReader(contents, 0, st.Size)
	return nil
}

func (d *Dir) virtualXattrs(name string, choose func(names []string) []string) ([]Xattr, error) {
	all, err := d.root.tree.Xattrs(d.join(name))
	if err != nil {
		return nil, d.xattrError(name, err)
	}
	names := make([]string, len(all))
	for i, x := range all {
		names[i] = x.Name
	}
	var list []Xattr
	chosen := choose(names)
	for _, x := range all {
		if len(chosen) > 0 && x.Name == chosen[0] {
			list, chosen = append(list, x), chosen[1:]
		}
	}
	return list, nil
}

// virtualRead returns the result of reading a file of a virtual tree. If a file ends early, the
// tree is faulty, and the caller must get the error.
func (f *File) virtualRead(n int, err error) (int, error) {
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, fmt.Errorf("reading %q: %w", f.Name(), err)
}
