package rootfs

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// Source answers for a tree that is no directory, as that of an image. Paths are physical and
// clean, "/" is the root; what is not there is an error wrapping fs.ErrNotExist. It is safe for
// concurrent use. What an image says never changes; of directories, Stat tells what changed while
// it was read.
type Source interface {
	// Stat describes what is at path, a symlink itself included. Dev, Ino and Links tell hard links
	// as in a file system.
	Stat(path string) (Stat, error)
	// Names returns the names in a directory, sorted by their bytes. The caller does not change the
	// list.
	Names(dir string) ([]string, error)
	Readlink(path string) (string, error)
	// Xattrs returns all extended attributes, sorted by name.
	Xattrs(path string) ([]Xattr, error)
	// Open returns the contents of a regular file, of the size that Stat tells. It needs no
	// closing, lasts as long as the source, and is for one goroutine.
	Open(path string) (io.ReaderAt, error)
	// Close gives back what the source holds; doing so again changes nothing. Root.Close calls it.
	Close() error
}

// Xattr is one extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}

// Virtual makes a tree of what a source says, so that everything that reads directories reads
// images too. The name stands where a directory's path would.
func Virtual(name string, src Source) *Root {
	return &Root{path: name, src: src}
}

// openVirtual opens a directory of a source.
func (r *Root) openVirtual(path string) (*Dir, error) {
	if rel := strings.TrimPrefix(path, "/"); rel != "" {
		if err := checkPath(rel); err != nil {
			return nil, err
		}
	}
	st, err := r.src.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, unix.ENOTDIR
	}
	return &Dir{fd: noFD, root: r, path: path}, nil
}

// noFD is the descriptor of what has none.
const noFD = -1

// openVirtual opens the file at the directory's name.
func (d *Dir) openVirtual(f *File, name string) error {
	st, err := d.root.src.Stat(d.join(name))
	if err != nil {
		return err
	}
	if !st.regular() {
		return ErrNotRegular
	}
	contents, err := d.root.src.Open(d.join(name))
	if err != nil {
		return err
	}
	f.fd, f.opened, f.src, f.contents = noFD, st, d.root.src, io.NewSectionReader(contents, 0, st.Size)
	return nil
}

func (d *Dir) virtualXattrs(name string, choose func(names []string) []string) ([]Xattr, error) {
	all, err := d.root.src.Xattrs(d.join(name))
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

// virtualRead reads from a source's file. That it ends early is a fault of the source, which the
// reader of the file has to hear of.
func (f *File) virtualRead(n int, err error) (int, error) {
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, fmt.Errorf("reading %q: %w", f.Name(), err)
}
