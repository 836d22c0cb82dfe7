package rootfs

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"os"

	"chunkah/lib/interrupt"

	"golang.org/x/sys/unix"
)

// Stat is the metadata of a file.
type Stat struct {
	// Mode is st_mode: type (unix.S_IFMT) and permission bits.
	Mode     uint32
	UID, GID uint32
	// Size is in bytes. Holes is the total size of the holes in a regular file, or 0 if unknown.
	Size, Holes int64
	// MTime is in Unix seconds. MTimeNsec is the fraction in nanoseconds.
	MTime     int64
	MTimeNsec int32
	// CTime and CTimeNsec are the time of the last change to data or metadata.
	CTime     int64
	CTimeNsec int32
	// Dev and Ino together identify the file. Links is the number of its names.
	Dev, Ino uint64
	Links    uint32
	// RdevMajor and RdevMinor are the numbers of a device.
	RdevMajor, RdevMinor uint32
	// MountRoot is set if another file system, or part of one, is mounted on this file.
	MountRoot bool
}

// Same reports whether a and b describe the same unchanged file: inode, size, mtime and ctime are
// equal.
func (a Stat) Same(b Stat) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size &&
		a.MTime == b.MTime && a.MTimeNsec == b.MTimeNsec &&
		a.CTime == b.CTime && a.CTimeNsec == b.CTimeNsec
}

// Stamp returns a string that depends on everything that Same compares, for comparison in a later
// process. It omits the device number, which changes when a file system is mounted again. The
// string is empty for files that never change, such as files in images.
func (a Stat) Stamp() string {
	if a.Dev == 0 {
		return ""
	}
	text := a.stamp()
	return string(text[:])
}

// HasStamp reports whether stamp is the file's stamp. It allocates no memory.
func (a Stat) HasStamp(stamp string) bool {
	if a.Dev == 0 {
		return stamp == ""
	}
	text := a.stamp()
	return stamp == string(text[:])
}

// stampSize is the number of bytes of a hash in a stamp. Every file of a build has a stamp in
// memory, so stamps are short. With 96 bits of a SHA-256, nobody can construct a file that has the
// stamp of another file.
const stampSize = 12

func (a Stat) stamp() (text [stampSize / 3 * 4]byte) {
	values := make([]byte, 0, 6*8)
	for _, n := range [...]int64{int64(a.Ino), a.Size, a.MTime, int64(a.MTimeNsec), a.CTime, int64(a.CTimeNsec)} {
		values = binary.LittleEndian.AppendUint64(values, uint64(n))
	}
	sum := sha256.Sum256(values)
	base64.RawURLEncoding.Encode(text[:], sum[:stampSize])
	return text
}

// holes returns the size of a file's holes, computed from its number of blocks.
func holes(mode uint32, size, blocks int64) int64 {
	const block = 512 // independent of the file system
	if mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	return max(0, size-blocks*block)
}

// Regular reports whether the file is a regular file.
func (a Stat) Regular() bool { return a.Mode&unix.S_IFMT == unix.S_IFREG }

// statx describes name in the directory fd, including mount points.
func statx(fd int, name string) (Stat, error) {
	var sx unix.Statx_t
	err := interrupt.Retry(func() error {
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

// fstatat replaces statx on kernels without statx, and on kernels whose statx does not report mount
// points.
func fstatat(fd int, name string) (Stat, error) {
	var st unix.Stat_t
	err := interrupt.Retry(func() error {
		return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
	})
	return fromStat(&st), err
}

// fstat describes the open file fd.
func fstat(fd int) (Stat, error) {
	var st unix.Stat_t
	err := interrupt.Retry(func() error { return unix.Fstat(fd, &st) })
	return fromStat(&st), err
}

// fromStat converts all fields, since their types differ by architecture.
func fromStat(st *unix.Stat_t) Stat {
	return Stat{
		Mode: uint32(st.Mode), UID: st.Uid, GID: st.Gid,
		Size: st.Size, Holes: holes(st.Mode, st.Size, st.Blocks), MTime: int64(st.Mtim.Sec), MTimeNsec: int32(st.Mtim.Nsec),
		CTime: int64(st.Ctim.Sec), CTimeNsec: int32(st.Ctim.Nsec),
		Dev: uint64(st.Dev), Ino: st.Ino, Links: uint32(st.Nlink),
		RdevMajor: unix.Major(uint64(st.Rdev)), RdevMinor: unix.Minor(uint64(st.Rdev)),
	}
}

// statxTellsMounts reports whether statx reports mount points (Linux 5.8).
func statxTellsMounts(f *os.File) bool {
	var sx unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &sx)
	return err == nil && sx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0
}
