package rootfs

import (
	"errors"
	"fmt"
	"io"

	"chunkah/format"

	"golang.org/x/sys/unix"
)

// ErrNotRegular means that a file is not a regular file.
var ErrNotRegular = errors.New("is not a regular file")

// File is an open regular file. It uses plain system calls, because the support for pipes and
// sockets in os.File costs as much as reading a small file.
type File struct {
	fd        int
	dir, name string // joined only when needed, which is rare
	opened    Stat
	// contents replaces fd in a virtual tree. tree is the tree that contains it.
	contents *io.SectionReader
	tree     Tree
}

// Name returns the file's path in the tree.
func (f *File) Name() string { return format.Join(f.dir, f.name) }

// Read implements io.Reader.
func (f *File) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if f.contents != nil {
		return f.virtualRead(f.contents.Read(p))
	}
	for {
		n, err := unix.Read(f.fd, p)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, fmt.Errorf("reading %q: %w", f.Name(), err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Opened describes the file as it was when it was opened, like Stat.
func (f *File) Opened() Stat { return f.opened }

// Stat describes the open file. It does not detect mount points.
func (f *File) Stat() (Stat, error) {
	if f.contents == nil {
		st, err := fstat(f.fd)
		if err != nil {
			err = fmt.Errorf("reading metadata of %q: %w", f.Name(), err)
		}
		return st, err
	}
	st, err := f.tree.Stat(f.Name())
	if err != nil {
		return st, fmt.Errorf("reading metadata of %q: %w", f.Name(), err)
	}
	return st, nil
}

// Virtual reports whether the file belongs to a Tree. Such a file need not be closed.
func (f *File) Virtual() bool { return f.contents != nil }

// Close closes the file. It can be called twice.
func (f *File) Close() error {
	if f.fd < 0 {
		return nil
	}
	fd := f.fd
	f.fd = -1
	return unix.Close(fd)
}
