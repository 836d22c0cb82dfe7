package extract

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/interrupt"
	"chunkah/lib/rootfs"
)

// worker writes batches.
type worker struct {
	*extraction
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
		done, err := w.one(from, to, f)
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
func (w *worker) one(from, to *rootfs.Dir, f item) (done bool, err error) {
	path := format.Join(to.Path(), f.name)
	kind := f.stat.Mode & unix.S_IFMT
	if kind == unix.S_IFREG {
		return true, w.regular(from, to, f)
	}
	xattrs, err := from.Xattrs(f.name, all)
	if err != nil {
		return false, err
	}
	if kind == unix.S_IFLNK {
		target, err := from.Readlink(f.name)
		if err != nil {
			return false, err
		}
		err = interrupt.Retry(func() error { return unix.Symlinkat(target, to.Fd(), f.name) })
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
var errNoDevice = errors.New("creating a device requires more privileges")

// special creates a FIFO or a device.
func (w *worker) special(path string, to *rootfs.Dir, f item, xattrs []rootfs.Xattr) error {
	device := unix.Mkdev(f.stat.RdevMajor, f.stat.RdevMinor)
	err := interrupt.Retry(func() error {
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

// regular creates an empty file, or moves a file from the staging directory to its final path.
func (w *worker) regular(from, to *rootfs.Dir, f item) error {
	path := format.Join(to.Path(), f.name)
	s, found, err := w.tree.Stored(path)
	switch {
	case err != nil:
		return err
	case found:
		return w.writing(path, w.place(path, to, f, s))
	case f.stat.Size > 0:
		return fmt.Errorf("reading %q: its contents were not stored", path)
	}
	xattrs, err := from.Xattrs(f.name, all)
	if err != nil {
		return err
	}
	fd, err := openat(to.Fd(), f.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return w.writing(path, err)
	}
	err = w.restore(path, opened(fd), f.stat, xattrs)
	return w.writing(path, errors.Join(err, unix.Close(fd)))
}
