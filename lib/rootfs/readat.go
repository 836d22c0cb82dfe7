package rootfs

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.contents != nil {
		return f.virtualRead(f.contents.ReadAt(p, off))
	}
	read := 0
	for read < len(p) {
		n, err := unix.Pread(f.fd, p[read:], off+int64(read))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return read, fmt.Errorf("reading %q: %w", f.Name(), err)
		case n == 0:
			return read, io.EOF
		}
		read += n
	}
	return read, nil
}
