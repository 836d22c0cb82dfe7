package extract

import (
	"bytes"
	"context"
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"chunkah/lib/rootfs"
)

// copyBuffer is the number of bytes of one read. holeSize is the size of the blocks, in bytes, that
// become holes if they contain only zeros: small enough to find the holes of sparse files, and
// large enough that files do not fall apart on the disk.
const (
	copyBuffer = 256 << 10
	holeSize   = 64 << 10
)

var zeros [holeSize]byte

// worker writes batches.
type worker struct {
	*extraction
	buf []byte
}

// write writes the files of a batch.
func (w *worker) write(ctx context.Context, b batch) error {
	from, err := w.from.OpenDir(b.dir)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := w.to.OpenDir(b.dir)
	if err != nil {
		return w.writing(b.dir, err)
	}
	defer to.Close()
	files, size := int64(0), int64(0)
	for _, f := range b.files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		done, err := w.one(ctx, from, to, f)
		if err != nil {
			return err
		}
		if done {
			files, size = files+1, size+sizeOf(f.stat)
		}
	}
	w.count(files, size)
	return nil
}

// one writes one file. done is false if it cannot be created without more privileges.
func (w *worker) one(ctx context.Context, from, to *rootfs.Dir, f item) (done bool, err error) {
	path := join(to.Path(), f.name)
	xattrs, err := from.Xattrs(f.name, all)
	if err != nil {
		return false, err
	}
	kind := f.stat.Mode & unix.S_IFMT
	switch kind {
	case unix.S_IFREG:
		return true, w.regular(ctx, from, to, f, xattrs)
	case unix.S_IFLNK:
		target, err := from.Readlink(f.name)
		if err != nil {
			return false, err
		}
		err = retry(func() error { return unix.Symlinkat(target, to.Fd(), f.name) })
		if err == nil {
			err = w.restore(path, named{to.Fd(), f.name}, f.stat, xattrs)
		}
		return err == nil, w.writing(path, err)
	}
	err = w.special(path, to, f, xattrs)
	if errors.Is(err, errNoDevice) {
		w.skip(lostDevice, path)
		return false, nil
	}
	return err == nil, w.writing(path, err)
}

// errNoDevice means that this process cannot create devices.
var errNoDevice = errors.New("devices need more privileges")

// special creates a FIFO or a device.
func (w *worker) special(path string, to *rootfs.Dir, f item, xattrs []rootfs.Xattr) error {
	device := unix.Mkdev(f.stat.RdevMajor, f.stat.RdevMinor)
	err := retry(func() error {
		return unix.Mknodat(to.Fd(), f.name, f.stat.Mode&unix.S_IFMT|0o600, int(device))
	})
	if errors.Is(err, unix.EPERM) && f.stat.Mode&unix.S_IFMT != unix.S_IFIFO {
		return errNoDevice
	}
	if err != nil {
		return err
	}
	return w.restore(path, named{to.Fd(), f.name}, f.stat, xattrs)
}

// regular creates a regular file.
func (w *worker) regular(ctx context.Context, from, to *rootfs.Dir, f item, xattrs []rootfs.Xattr) error {
	path := join(to.Path(), f.name)
	in, err := from.OpenFile(f.name)
	if err != nil {
		return err
	}
	defer in.Close()
	fd, err := openat(to.Fd(), f.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return w.writing(path, err)
	}
	if err = w.copy(ctx, path, fd, in, f.stat.Size); err == nil {
		err = w.writing(path, w.restore(path, opened(fd), f.stat, xattrs))
	}
	if wrong := unix.Close(fd); err == nil && wrong != nil {
		err = w.writing(path, wrong)
	}
	return err
}

// copy copies the contents of a file. Blocks of zeros become holes.
func (w *worker) copy(ctx context.Context, path string, fd int, in io.Reader, size int64) error {
	if w.buf == nil {
		w.buf = make([]byte, copyBuffer)
	}
	hole := false // at the end of the file so far
	for left := size; left > 0; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := w.buf[:min(int64(len(w.buf)), left)]
		if _, err := io.ReadFull(in, p); err != nil {
			return err
		}
		left -= int64(len(p))
		w.opt.Work.Did(int64(len(p)))
		for len(p) > 0 {
			var err error
			n := holes(p)
			if n > 0 {
				hole = true
				_, err = unix.Seek(fd, int64(n), unix.SEEK_CUR)
			} else {
				n, hole = data(p), false
				err = writeAll(fd, p[:n])
			}
			if err != nil {
				return w.writing(path, err)
			}
			p = p[n:]
		}
	}
	if hole {
		return w.writing(path, retry(func() error { return unix.Ftruncate(fd, size) }))
	}
	return nil
}

// holes returns the length of the blocks at the start of p that have only zeros.
func holes(p []byte) int {
	n := 0
	for len(p)-n >= holeSize && bytes.Equal(p[n:n+holeSize], zeros[:]) {
		n += holeSize
	}
	return n
}

// data returns the length of the blocks at the start of p, at least one, up to the first hole.
func data(p []byte) int {
	n := min(holeSize, len(p))
	for n < len(p) && holes(p[n:min(n+holeSize, len(p))]) == 0 {
		n = min(n+holeSize, len(p))
	}
	return n
}

func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		p = p[max(n, 0):]
	}
	return nil
}
