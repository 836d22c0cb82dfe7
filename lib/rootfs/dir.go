package rootfs

import (
	"errors"
	"fmt"
	"sort"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/interrupt"
)

// bufferSize is the largest number of bytes of names that one call returns. Lists of xattr names
// are never longer (XATTR_LIST_MAX of Linux).
const bufferSize = 64 << 10

// Dir is an open directory of a tree. Only one goroutine can use it at a time. Its methods accept a
// name in the directory, never a path.
type Dir struct {
	fd   int
	root *Root
	path string
	buf  *[bufferSize]byte
}

// Path returns the directory's path in the tree.
func (d *Dir) Path() string { return d.path }

// Fd returns the descriptor of a directory that is not virtual. The descriptor is valid until
// Close.
func (d *Dir) Fd() int { return d.fd }

// Close closes the directory. It can be called twice.
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

// Names returns the names in the directory, sorted by bytes. It reads the directory only once: a
// second call returns no names.
func (d *Dir) Names() ([]string, error) {
	if d.root.tree != nil {
		return d.root.tree.Names(d.path)
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

// Stat describes the directory itself. It does not detect mount points.
func (d *Dir) Stat() (Stat, error) {
	if d.root.tree != nil {
		return d.root.tree.Stat(d.path)
	}
	st, err := fstat(d.fd)
	if err != nil {
		err = fmt.Errorf("reading metadata of %q: %w", d.path, err)
	}
	return st, err
}

// Lstat describes name, without following a symlink.
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
	case d.root.tree != nil:
		return d.root.tree.Stat(d.join(name))
	case d.root.mounts == nil:
		return statx(d.fd, name)
	}
	st, err := fstatat(d.fd, name)
	st.MountRoot = d.root.mounts.has(d.join(name))
	return st, err
}

// Readlink returns the target of the symlink called name.
func (d *Dir) Readlink(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("reading symlink %q: %w", d.join(name), err)
	}
	if d.root.tree != nil {
		return d.root.tree.Readlink(d.join(name))
	}
	buf := d.buf[:format.MaxTarget+1]
	var n int
	err := interrupt.Retry(func() (err error) {
		n, err = unix.Readlinkat(d.fd, name, buf)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading symlink %q: %w", d.join(name), err)
	}
	return string(buf[:n]), nil
}

// Readable returns an error if this process cannot read the regular file called name.
func (d *Dir) Readable(name string) error {
	if d.root.readsAll || d.root.tree != nil {
		return nil
	}
	err := checkName(name)
	if err == nil {
		err = interrupt.Retry(func() error {
			return unix.Faccessat(d.fd, name, unix.R_OK, unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW)
		})
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", d.join(name), err)
	}
	return nil
}

// OpenFile opens the regular file called name for reading. It checks the type before opening,
// because opening a device can have side effects, and again afterwards.
func (d *Dir) OpenFile(name string) (*File, error) {
	f := new(File)
	if err := f.Open(d, name, false); err != nil {
		return nil, err
	}
	return f, nil
}

func (d *Dir) isRegular(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if d.root.tree != nil {
		return nil // checked by openVirtual
	}
	st, err := fstatat(d.fd, name)
	if err == nil && !st.Regular() {
		err = ErrNotRegular
	}
	return err
}

// OpenSeen is like OpenFile, for a caller that has just seen that name is a regular file. It omits
// the first check. Other file types are still refused, without waiting for a pipe, but only after
// the open.
func (d *Dir) OpenSeen(name string) (*File, error) {
	f := new(File)
	if err := f.Open(d, name, true); err != nil {
		return nil, err
	}
	return f, nil
}

// Open opens a file in a directory like OpenFile or, if seen is set, like OpenSeen. f must be new
// or closed. Code that opens many files one by one can use a single File, which produces less
// garbage.
func (f *File) Open(d *Dir, name string, seen bool) error {
	return f.open(d, name, seen, true)
}

// OpenUnchecked works like Open, but does not examine the opened file, which saves a system call.
// Opened then returns an empty Stat. The caller must use Stat to check, after reading, that the
// file is regular. If another file has replaced it, a read does not wait.
func (f *File) OpenUnchecked(d *Dir, name string, seen bool) error {
	return f.open(d, name, seen, false)
}

func (f *File) open(d *Dir, name string, seen, check bool) (err error) {
	*f = File{fd: noFD, dir: d.path, name: name}
	if !seen {
		err = d.isRegular(name)
	}
	if err == nil {
		err = d.openAny(f, name)
	}
	if err == nil && check {
		err = f.checkOpened()
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", f.Name(), err)
	}
	return nil
}

// checkOpened describes the opened file, and closes it if it is not a regular file.
func (f *File) checkOpened() (err error) {
	if f.contents != nil {
		return nil // checked by openVirtual
	}
	if f.opened, err = fstat(f.fd); err == nil && !f.opened.Regular() {
		err = ErrNotRegular
	}
	if err != nil {
		_ = f.Close() // nothing was written
	}
	return err
}

// openAny opens a file of any type.
func (d *Dir) openAny(f *File, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if d.root.tree != nil {
		return d.openVirtual(f, name)
	}
	fd, err := d.root.openStep(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
		return ErrNotRegular // a socket, or a missing device
	}
	if err == nil {
		f.fd = fd
	}
	return err
}

func (d *Dir) join(name string) string {
	if name == "" {
		return d.path
	}
	return format.Join(d.path, name)
}
