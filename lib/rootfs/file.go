package rootfs

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// ErrNotRegular says that something other than a regular file was found.
var ErrNotRegular = errors.New("is not a regular file")

// File is an open regular file. It reads with plain system calls: what os.File
// adds for pipes and sockets costs as much as reading a small file.
type File struct {
	fd   int
	path string
}

// Name returns the file's path in the tree.
func (f *File) Name() string { return f.path }

// Read reads up to len(p) bytes, as io.Reader.
func (f *File) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := unix.Read(f.fd, p)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, fmt.Errorf("reading %q: %w", f.path, err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Stat describes the open file.
func (f *File) Stat() (Stat, error) {
	st, err := statx(f.fd, "", unix.AT_EMPTY_PATH)
	if err != nil {
		return Stat{}, fmt.Errorf("reading metadata of %q: %w", f.path, err)
	}
	return st, nil
}

// Close closes the file.
func (f *File) Close() error { return unix.Close(f.fd) }

// Same reports whether two looks at a file saw the same unchanged one: inode,
// size, mtime and ctime.
func (a Stat) Same(b Stat) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size &&
		a.MTime == b.MTime && a.MTimeNsec == b.MTimeNsec &&
		a.CTime == b.CTime && a.CTimeNsec == b.CTimeNsec
}
