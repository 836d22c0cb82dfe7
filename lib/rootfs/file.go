package rootfs

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// ErrNotRegular says that something other than a regular file was found.
var ErrNotRegular = errors.New("is not a regular file")

// File is an open regular file. It reads with plain system calls: what os.File adds for pipes and
// sockets costs as much as reading a small file.
type File struct {
	fd        int
	dir, name string // joined where they are asked for: hardly ever
	opened    Stat
	// contents stand for fd in a tree that is no directory, and src tells of them.
	contents *io.SectionReader
	src      Source
}

// Name returns the file's path in the tree.
func (f *File) Name() string { return join(f.dir, f.name) }

// Read reads up to len(p) bytes, as io.Reader.
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

// Opened describes the file as it was when it was opened, as Stat does.
func (f *File) Opened() Stat { return f.opened }

// Stat describes the open file; it does not tell mount points.
func (f *File) Stat() (Stat, error) {
	if f.contents == nil {
		st, err := fstat(f.fd)
		if err != nil {
			err = fmt.Errorf("reading metadata of %q: %w", f.Name(), err)
		}
		return st, err
	}
	st, err := f.src.Stat(f.Name())
	if err != nil {
		return st, fmt.Errorf("reading metadata of %q: %w", f.Name(), err)
	}
	return st, nil
}

// Virtual reports whether the file is one of a Source, and so needs no closing.
func (f *File) Virtual() bool { return f.contents != nil }

// Close closes the file; doing so again changes nothing.
func (f *File) Close() error {
	if f.fd < 0 {
		return nil
	}
	fd := f.fd
	f.fd = -1
	return unix.Close(fd)
}
