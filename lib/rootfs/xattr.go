package rootfs

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"unsafe"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
)

// Xattrs returns the extended attributes of name, or of the directory itself if name is empty. They
// are sorted by attribute name. choose receives all attribute names and returns the names to read,
// in the same order. Attributes that no longer exist when they are read, or that are listed but
// have no value, are left out.
func (d *Dir) Xattrs(name string, choose func(names []string) []string) ([]Xattr, error) {
	if d.root.tree != nil {
		return d.virtualXattrs(name, choose)
	}
	names, err := d.xattrNames(name)
	if err != nil {
		return nil, err
	}
	var list []Xattr
	for _, attr := range choose(names) {
		value, found, err := d.xattr(name, attr)
		if err != nil {
			return nil, err
		}
		if found {
			list = append(list, Xattr{Name: attr, Value: value})
		}
	}
	return list, nil
}

// xattrNames returns the names of all extended attributes of name, sorted. If the file system does
// not support xattrs, the list is empty.
func (d *Dir) xattrNames(name string) (names []string, err error) {
	if name != "" {
		err = checkName(name)
	}
	switch {
	case err != nil:
	case d.root.noListAt:
		names, err = d.listProc(name)
	default:
		names, err = d.listAt(name)
	}
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, d.xattrError(name, err)
	}
	sort.Strings(names)
	return names, nil
}

// xattr returns the value of one extended attribute.
func (d *Dir) xattr(name, attr string) (value []byte, found bool, err error) {
	if name != "" {
		if err := checkName(name); err != nil {
			return nil, false, d.xattrError(name, err)
		}
	}
	value, err = xattr.LGet(d.proc(name), attr)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return nil, false, nil
	case err != nil:
		return nil, false, d.xattrError(name, err)
	}
	return append([]byte(nil), value...), true, nil // a copy, since the buffer is large
}

// fewNames is the size, in bytes, that is enough for most lists of xattr names. The kernel
// allocates as much memory as the caller offers, so small requests are cheaper.
const fewNames = 512

// listAt uses listxattrat (Linux 6.13), which takes less than half the time of a call through
// /proc.
func (d *Dir) listAt(name string) ([]string, error) {
	return d.list(func(buf []byte) (int, error) { return listxattrat(d.fd, name, buf) })
}

// listProc uses the descriptor's link in /proc, which also avoids races.
func (d *Dir) listProc(name string) ([]string, error) {
	path := d.proc(name)
	return d.list(func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) })
}

// list tries a small buffer first, then the maximum size. If it asked for the size first, the list
// could grow before the second call, which would then fail.
func (d *Dir) list(ask func([]byte) (int, error)) ([]string, error) {
	buf := d.buf[:fewNames]
	for {
		n, err := ask(buf)
		switch {
		case err == nil:
			return cutNames(buf[:n]), nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ERANGE) && len(buf) < len(d.buf):
			buf = d.buf[:]
		default:
			return nil, err
		}
	}
}

func (d *Dir) proc(name string) string {
	return "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + name
}

// listxattrat lists the xattrs of name, or of the directory fd itself if name is empty.
func listxattrat(fd int, name string, buf []byte) (int, error) {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return 0, err
	}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	n, _, errno := unix.Syscall6(unix.SYS_LISTXATTRAT, uintptr(fd), uintptr(unsafe.Pointer(p)), uintptr(flags),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func haveListxattrat(dir *os.File) bool {
	_, err := listxattrat(int(dir.Fd()), "", nil)
	return err == nil || errors.Is(err, unix.ENOTSUP)
}

// cutNames splits a list of NUL-terminated names.
func cutNames(list []byte) []string {
	var names []string
	start := 0
	for i, b := range list {
		if b == 0 {
			names = append(names, string(list[start:i]))
			start = i + 1
		}
	}
	return names
}

func (d *Dir) xattrError(name string, err error) error {
	if xe, ok := errors.AsType[*xattr.Error](err); ok {
		err = xe.Err
	}
	if errors.Is(err, unix.ENOENT) {
		var st unix.Stat_t
		if unix.Lstat("/proc/self/fd", &st) != nil {
			err = errors.New("this kernel needs /proc to read xattrs: mount /proc")
		}
	}
	return fmt.Errorf("reading xattrs of %q: %w", d.join(name), err)
}
