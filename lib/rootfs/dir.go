package rootfs

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"

	"chunkah/format"
)

// Dir is one open directory of a tree. What it is asked about is a name in it,
// never a path.
type Dir struct {
	f    *os.File
	fd   int
	root *Root
	path string
}

// Path returns the directory's path in the tree.
func (d *Dir) Path() string { return d.path }

// Close closes the directory.
func (d *Dir) Close() error { return d.f.Close() }

// Names returns the names in the directory, sorted by their bytes.
func (d *Dir) Names() ([]string, error) {
	names, err := d.f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("reading directory %q: %w", d.path, cause(err))
	}
	return sortNames(names), nil
}

// Stat describes the directory itself.
func (d *Dir) Stat() (Stat, error) {
	st, err := statx(d.fd, "", unix.AT_EMPTY_PATH)
	if err != nil {
		return Stat{}, fmt.Errorf("reading metadata of %q: %w", d.path, err)
	}
	return st, nil
}

// Lstat describes what name stands for, a symlink itself included.
func (d *Dir) Lstat(name string) (Stat, error) {
	st, err := statx(d.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
	if err != nil {
		return Stat{}, fmt.Errorf("reading metadata of %q: %w", d.join(name), err)
	}
	if d.root.mounts != nil {
		st.MountRoot = d.root.mounts.has(d.join(name))
	}
	return st, nil
}

// Readlink returns the target of the symlink name.
func (d *Dir) Readlink(name string) (string, error) {
	var buf [format.MaxTarget + 1]byte
	n, err := unix.Readlinkat(d.fd, name, buf[:])
	if err != nil {
		return "", fmt.Errorf("reading symlink %q: %w", d.join(name), err)
	}
	return string(buf[:n]), nil
}

// OpenFile opens the regular file name for reading. The type is looked at
// before the open, since opening a device can act on it, and once more after it.
func (d *Dir) OpenFile(name string) (*File, error) {
	path := d.join(name)
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("opening %q: %w", path, ErrNotRegular)
	}
	fd, err := d.root.openStep(d.fd, name, unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	f := &File{fd: fd, path: path}
	if st, err := f.Stat(); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil, fmt.Errorf("opening %q: %w", path, errors.Join(ErrNotRegular, err))
	}
	return f, nil
}

// Xattrs returns all extended attributes of name, sorted by their names; of the
// directory itself where name is empty. A file system without them has none.
func (d *Dir) Xattrs(name string) ([]format.Xattr, error) {
	// There is no xattr call relative to a directory before Linux 6.13; the
	// descriptor's own link in /proc is one, and leaves no race.
	proc := "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + name
	names, err := xattr.LList(proc)
	if err != nil {
		if errors.Is(err, unix.ENOTSUP) {
			return nil, nil
		}
		return nil, d.xattrError(name, err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	sort.Strings(names)
	attrs := make([]format.Xattr, 0, len(names))
	for _, n := range names {
		value, err := xattr.LGet(proc, n)
		if err != nil {
			return nil, d.xattrError(name, err)
		}
		attrs = append(attrs, format.Xattr{Name: n, Value: append([]byte(nil), value...)})
	}
	return attrs, nil
}

func (d *Dir) xattrError(name string, err error) error {
	var xe *xattr.Error
	if errors.As(err, &xe) {
		err = xe.Err
	}
	if errors.Is(err, unix.ENOENT) {
		var st unix.Stat_t
		if unix.Lstat("/proc/self/fd", &st) != nil {
			err = errors.New("/proc is not mounted")
		}
	}
	return fmt.Errorf("reading xattrs of %q: %w", d.join(name), err)
}

func (d *Dir) join(name string) string {
	switch {
	case name == "":
		return d.path
	case d.path == "/":
		return "/" + name
	}
	return d.path + "/" + name
}
