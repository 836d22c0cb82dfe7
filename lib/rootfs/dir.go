package rootfs

import (
	"errors"
	"fmt"
	"sort"

	"golang.org/x/sys/unix"

	"chunkah/format"
)

// bufferSize is what one call hands over of names at most, in bytes. No list of xattr names is
// longer (XATTR_LIST_MAX of Linux).
const bufferSize = 64 << 10

// Dir is one open directory of a tree, for one goroutine at a time. What it is asked about is a
// name in it, never a path.
type Dir struct {
	fd   int
	root *Root
	path string
	buf  *[bufferSize]byte
}

// Path returns the directory's path in the tree.
func (d *Dir) Path() string { return d.path }

// Close closes the directory; doing so again changes nothing.
func (d *Dir) Close() error {
	if d.fd < 0 {
		return nil
	}
	fd := d.fd
	d.fd = -1
	d.root.buffers.Put(d.buf)
	d.buf = nil
	return unix.Close(fd)
}

// Names returns the names in the directory, sorted by their bytes. It reads them once: a second
// call returns none.
func (d *Dir) Names() ([]string, error) {
	if d.root.src != nil {
		return d.root.src.Names(d.path)
	}
	var names []string
	for {
		n, err := unix.Getdents(d.fd, d.buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading directory %q: %w", d.path, err)
		}
		if n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(d.buf[:n], -1, names)
	}
	sort.Strings(names)
	return names, nil
}

// Stat describes the directory itself; it does not tell mount points.
func (d *Dir) Stat() (Stat, error) {
	if d.root.src != nil {
		return d.root.src.Stat(d.path)
	}
	st, err := fstat(d.fd)
	if err != nil {
		err = fmt.Errorf("reading metadata of %q: %w", d.path, err)
	}
	return st, err
}

// Lstat describes what name stands for, a symlink itself included.
func (d *Dir) Lstat(name string) (st Stat, err error) {
	if err = checkName(name); err == nil {
		st, err = d.lstat(name)
	}
	if err != nil {
		return Stat{}, fmt.Errorf("reading metadata of %q: %w", d.join(name), err)
	}
	return st, nil
}

func (d *Dir) lstat(name string) (Stat, error) {
	switch {
	case d.root.src != nil:
		return d.root.src.Stat(d.join(name))
	case d.root.mounts == nil:
		return statx(d.fd, name)
	}
	st, err := fstatat(d.fd, name)
	st.MountRoot = d.root.mounts.has(d.join(name))
	return st, err
}

// Readlink returns the target of the symlink name.
func (d *Dir) Readlink(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("reading symlink %q: %w", d.join(name), err)
	}
	if d.root.src != nil {
		return d.root.src.Readlink(d.join(name))
	}
	buf := d.buf[:format.MaxTarget+1]
	var n int
	err := retried(func() (err error) {
		n, err = unix.Readlinkat(d.fd, name, buf)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading symlink %q: %w", d.join(name), err)
	}
	return string(buf[:n]), nil
}

// Readable says why this process may not read the regular file name, nil if it may.
func (d *Dir) Readable(name string) error {
	if d.root.readsAll || d.root.src != nil {
		return nil
	}
	err := checkName(name)
	if err == nil {
		err = retried(func() error {
			return unix.Faccessat(d.fd, name, unix.R_OK, unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW)
		})
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", d.join(name), err)
	}
	return nil
}

// OpenFile opens the regular file name for reading. The type is looked at before the open, since
// opening a device can act on it, and once more after it.
func (d *Dir) OpenFile(name string) (*File, error) {
	if err := d.isRegular(name); err != nil {
		return nil, fmt.Errorf("opening %q: %w", d.join(name), err)
	}
	return d.OpenSeen(name)
}

func (d *Dir) isRegular(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if d.root.src != nil {
		return nil // openVirtual looks
	}
	st, err := fstatat(d.fd, name)
	if err == nil && !st.regular() {
		err = ErrNotRegular
	}
	return err
}

// OpenSeen is OpenFile for a caller who has seen a moment ago that name is a regular file: it
// leaves out the look before the open. Whatever else is there by now is refused too, and no pipe is
// waited for, but not before it is opened.
func (d *Dir) OpenSeen(name string) (*File, error) {
	f := &File{dir: d.path, name: name}
	if err := d.openSeen(f, name); err != nil {
		return nil, fmt.Errorf("opening %q: %w", f.Name(), err)
	}
	return f, nil
}

func (d *Dir) openSeen(f *File, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if d.root.src != nil {
		return d.openVirtual(f, name)
	}
	fd, err := d.root.openStep(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
		return ErrNotRegular // a socket, or a device that is not there
	}
	if err != nil {
		return err
	}
	if f.opened, err = fstat(fd); err == nil && !f.opened.regular() {
		err = ErrNotRegular
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	f.fd = fd
	return nil
}

func (d *Dir) join(name string) string {
	if name == "" {
		return d.path
	}
	return join(d.path, name)
}
