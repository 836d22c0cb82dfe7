package extract

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"chunkah/lib/interrupt"
	"chunkah/lib/rootfs"
)

// The losses, as they appear in messages.
const (
	lostOwner  = "the owner"
	lostSetID  = "setuid and setgid bits, because the owner differs"
	lostDevice = "devices"
	lostXattr  = "the xattr "
)

// target is a file whose metadata is set. No method follows a symlink.
type target interface {
	chown(uid, gid int) error
	chmod(mode uint32) error
	setxattr(name string, value []byte) error
	setTime(times [2]unix.Timespec) error
	stat(st *unix.Stat_t) error
}

// opened is an open regular file or directory.
type opened int

func (f opened) chown(uid, gid int) error {
	return interrupt.Retry(func() error { return unix.Fchown(int(f), uid, gid) })
}

func (f opened) chmod(mode uint32) error {
	return interrupt.Retry(func() error { return unix.Fchmod(int(f), mode) })
}

func (f opened) setxattr(name string, value []byte) error {
	return interrupt.Retry(func() error { return unix.Fsetxattr(int(f), name, value, 0) })
}

func (f opened) setTime(times [2]unix.Timespec) error {
	// futimens is utimensat without a path. Package unix does not provide it.
	return interrupt.Retry(func() error {
		_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(f), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
}

func (f opened) stat(st *unix.Stat_t) error {
	return interrupt.Retry(func() error { return unix.Fstat(int(f), st) })
}

// named is a name in an open directory. The file itself must not be opened, because it is a symlink
// or a special file.
type named struct {
	dir  int
	name string
}

func (f named) chown(uid, gid int) error {
	return interrupt.Retry(func() error { return unix.Fchownat(f.dir, f.name, uid, gid, unix.AT_SYMLINK_NOFOLLOW) })
}

// chmod uses a descriptor, because fchmodat follows symlinks on kernels before 6.6.
func (f named) chmod(mode uint32) error {
	fd, err := openat(f.dir, f.name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return interrupt.Retry(func() error { return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode) })
}

func (f named) setxattr(name string, value []byte) error {
	path := "/proc/self/fd/" + strconv.Itoa(f.dir) + "/" + f.name
	return interrupt.Retry(func() error { return unix.Lsetxattr(path, name, value, 0) })
}

func (f named) setTime(times [2]unix.Timespec) error {
	return interrupt.Retry(func() error { return unix.UtimesNanoAt(f.dir, f.name, times[:], unix.AT_SYMLINK_NOFOLLOW) })
}

func (f named) stat(st *unix.Stat_t) error {
	return interrupt.Retry(func() error { return unix.Fstatat(f.dir, f.name, st, unix.AT_SYMLINK_NOFOLLOW) })
}

// openat opens a name in a directory. It never follows a symlink.
func openat(dir int, name string, flags int) (fd int, err error) {
	err = interrupt.Retry(func() (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, err
}

// restore sets a file's metadata, and calls lose for everything that cannot be restored. The order
// matters, because chown clears capabilities and setuid bits, a read-only mode prevents the owner
// from setting xattrs, and an ACL changes the mode.
func restore(f target, st rootfs.Stat, xattrs []rootfs.Xattr, lose func(what string)) error {
	mode := st.Mode & 0o7777
	kept, err := chown(f, st)
	if err != nil {
		return err
	}
	if !kept {
		lose(lostOwner)
		if mode&0o6000 != 0 {
			lose(lostSetID)
			mode &^= 0o6000
		}
	}
	isACL := func(a rootfs.Xattr) bool { return strings.HasPrefix(a.Name, "system.posix_acl_") }
	for _, a := range xattrs {
		if !isACL(a) {
			if err := setXattr(f, a, lose); err != nil {
				return err
			}
		}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := f.chmod(mode); err != nil {
			return err
		}
	}
	for _, a := range xattrs {
		if isACL(a) {
			if err := setXattr(f, a, lose); err != nil {
				return err
			}
		}
	}
	time := unix.Timespec{Sec: st.MTime, Nsec: int64(st.MTimeNsec)}
	return f.setTime([2]unix.Timespec{time, time})
}

// restore sets a file's metadata, and records everything that cannot be restored.
func (x *extraction) restore(path string, f target, st rootfs.Stat, xattrs []rootfs.Xattr) error {
	return restore(f, st, xattrs, func(what string) { x.lose(what, path) })
}

// chown sets the owner if it differs. kept is false if that is not permitted.
func chown(f target, st rootfs.Stat) (kept bool, err error) {
	var now unix.Stat_t
	if err := f.stat(&now); err != nil {
		return false, err
	}
	if now.Uid == st.UID && now.Gid == st.GID {
		return true, nil
	}
	err = f.chown(int(st.UID), int(st.GID))
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) { // EINVAL: not mapped in the user namespace
		return false, nil
	}
	return err == nil, err
}

// setXattr sets an xattr if that is permitted and the file system supports it.
func setXattr(f target, a rootfs.Xattr, lose func(what string)) error {
	if ofOverlay(a.Name) {
		lose(lostXattr + a.Name)
		return nil
	}
	err := f.setxattr(a.Name, a.Value)
	if refused := []error{unix.EPERM, unix.EACCES, unix.ENOTSUP, unix.EINVAL}; slices.ContainsFunc(refused, func(e error) bool { return errors.Is(err, e) }) {
		lose(lostXattr + a.Name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("setting the xattr %q: %w", a.Name, err)
	}
	return nil
}

// ofOverlay reports whether an xattr is an instruction to overlayfs. In a lower directory of an
// overlay mount, such an xattr could make the mount show files that differ from those in the image.
func ofOverlay(name string) bool {
	return strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.")
}
