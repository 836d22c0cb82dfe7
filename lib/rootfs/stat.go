package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Stat is what a file system says of one name.
type Stat struct {
	// Mode is st_mode: type (unix.S_IFMT) and permission bits.
	Mode     uint32
	UID, GID uint32
	// Size is in bytes.
	Size int64
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

// statxMask asks for everything that Stat holds.
const statxMask = unix.STATX_BASIC_STATS

func statx(fd int, name string, flags int) (Stat, error) {
	var sx unix.Statx_t
	for {
		err := unix.Statx(fd, name, flags, statxMask, &sx)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return Stat{}, err
		}
	}
	return Stat{
		Mode: uint32(sx.Mode), UID: sx.Uid, GID: sx.Gid,
		Size: int64(sx.Size), MTime: sx.Mtime.Sec, MTimeNsec: int32(sx.Mtime.Nsec),
		CTime: sx.Ctime.Sec, CTimeNsec: int32(sx.Ctime.Nsec),
		Dev: unix.Mkdev(sx.Dev_major, sx.Dev_minor), Ino: sx.Ino, Links: sx.Nlink,
		RdevMajor: sx.Rdev_major, RdevMinor: sx.Rdev_minor,
		MountRoot: sx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
	}, nil
}

// statxTellsMounts reports whether the kernel tells mount points (Linux 5.8).
func statxTellsMounts(f *os.File) bool {
	var sx unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, statxMask, &sx)
	return err == nil && sx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// mountTable holds the mount points below a root for kernels that do not tell
// them by file.
type mountTable struct{ points map[string]bool }

func readMounts(root *os.File) (*mountTable, error) {
	base, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", root.Fd()))
	if err != nil {
		return nil, cause(err)
	}
	infos, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, err
	}
	t := &mountTable{points: make(map[string]bool)}
	for _, info := range infos {
		rel, err := filepath.Rel(base, info.Mountpoint)
		if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, "../") {
			continue
		}
		t.points["/"+rel] = true
	}
	return t, nil
}

func (t *mountTable) has(path string) bool { return t.points[path] }
