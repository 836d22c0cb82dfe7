package rootfs

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Stat is what a file system says of one name.
type Stat struct {
	// Mode is st_mode: type (unix.S_IFMT) and permission bits.
	Mode     uint32
	UID, GID uint32
	// Size is in bytes. Holes are those of a regular file that take no room on the disk, 0 where
	// nobody knows.
	Size, Holes int64
	// MTime is in unix seconds, MTimeNsec the nanoseconds beside it.
	MTime     int64
	MTimeNsec int32
	// CTime and CTimeNsec are the time of the last change of anything.
	CTime     int64
	CTimeNsec int32
	// Dev and Ino together identify the file; Links counts its names.
	Dev, Ino uint64
	Links    uint32
	// RdevMajor and RdevMinor are a device node's numbers.
	RdevMajor, RdevMinor uint32
	// MountRoot is set where another file system, or part of one, is mounted.
	MountRoot bool
}

// Same reports whether two looks at a file saw the same unchanged one: inode, size, mtime and
// ctime.
func (a Stat) Same(b Stat) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size &&
		a.MTime == b.MTime && a.MTimeNsec == b.MTimeNsec &&
		a.CTime == b.CTime && a.CTimeNsec == b.CTimeNsec
}

// Stamp is what Same compares as text, for a later process to compare: but for the device, which
// differs where the same file system is mounted again. It is empty for what never changes, as in an
// image.
func (a Stat) Stamp() string {
	if a.Dev == 0 {
		return ""
	}
	buf := make([]byte, 0, 64)
	for _, n := range [...]int64{int64(a.Ino), a.Size, a.MTime, int64(a.MTimeNsec), a.CTime, int64(a.CTimeNsec)} {
		buf = strconv.AppendInt(buf, n, 36)
		buf = append(buf, '.')
	}
	return string(buf[:len(buf)-1])
}

// retried calls until no signal comes between: on a network file system, or one of another process
// (FUSE), that may be with any call.
func retried(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// holes are the bytes of a file that has so many blocks.
func holes(mode uint32, size, blocks int64) int64 {
	const block = 512 // whatever the file system's own is
	if mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	return max(0, size-blocks*block)
}

func (a Stat) regular() bool { return a.Mode&unix.S_IFMT == unix.S_IFREG }

// statx describes name in the directory fd, mount points told.
func statx(fd int, name string) (Stat, error) {
	var sx unix.Statx_t
	err := retried(func() error {
		return unix.Statx(fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &sx)
	})
	if err != nil {
		return Stat{}, err
	}
	return Stat{
		Mode: uint32(sx.Mode), UID: sx.Uid, GID: sx.Gid,
		Size: int64(sx.Size), Holes: holes(uint32(sx.Mode), int64(sx.Size), int64(sx.Blocks)), MTime: sx.Mtime.Sec, MTimeNsec: int32(sx.Mtime.Nsec),
		CTime: sx.Ctime.Sec, CTimeNsec: int32(sx.Ctime.Nsec),
		Dev: unix.Mkdev(sx.Dev_major, sx.Dev_minor), Ino: sx.Ino, Links: sx.Nlink,
		RdevMajor: sx.Rdev_major, RdevMinor: sx.Rdev_minor,
		MountRoot: sx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
	}, nil
}

// fstatat is statx for kernels that do not have it, or do not tell mount points by it.
func fstatat(fd int, name string) (Stat, error) {
	var st unix.Stat_t
	err := retried(func() error {
		return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
	})
	return fromStat(&st), err
}

// fstat describes the open file fd.
func fstat(fd int) (Stat, error) {
	var st unix.Stat_t
	err := retried(func() error { return unix.Fstat(fd, &st) })
	return fromStat(&st), err
}

// fromStat converts throughout: the types of the fields differ by architecture.
func fromStat(st *unix.Stat_t) Stat {
	return Stat{
		Mode: uint32(st.Mode), UID: st.Uid, GID: st.Gid,
		Size: st.Size, Holes: holes(st.Mode, st.Size, st.Blocks), MTime: int64(st.Mtim.Sec), MTimeNsec: int32(st.Mtim.Nsec),
		CTime: int64(st.Ctim.Sec), CTimeNsec: int32(st.Ctim.Nsec),
		Dev: uint64(st.Dev), Ino: st.Ino, Links: uint32(st.Nlink),
		RdevMajor: unix.Major(uint64(st.Rdev)), RdevMinor: unix.Minor(uint64(st.Rdev)),
	}
}

// statxTellsMounts reports whether the kernel tells mount points (Linux 5.8).
func statxTellsMounts(f *os.File) bool {
	var sx unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &sx)
	return err == nil && sx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0
}
