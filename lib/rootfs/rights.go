package rootfs

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// readsAll reports whether this process can read every file. This requires the capability, and a
// user namespace that maps all IDs.
func readsAll() bool {
	const mask = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil || data[0].Effective&mask == 0 {
		return false
	}
	return mapsAll("/proc/self/uid_map") && mapsAll("/proc/self/gid_map")
}

// overflowIDs are the IDs shown for owners outside the user namespace. They are nil if the
// namespace maps all IDs.
type overflowIDs struct{ uid, gid *uint32 }

// readOverflowIDs reads the overflow IDs for this process's namespace.
func readOverflowIDs() (n overflowIDs) {
	if !mapsAll("/proc/self/uid_map") {
		n.uid = readID("/proc/sys/kernel/overflowuid")
	}
	if !mapsAll("/proc/self/gid_map") {
		n.gid = readID("/proc/sys/kernel/overflowgid")
	}
	return n
}

// readID reads a number, and returns nil on failure.
func readID(path string) *uint32 {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return nil
	}
	id := uint32(n)
	return &id
}

// Unmapped reports whether a file's owner is, or can be, outside this process's user namespace. The
// kernel shows 65534 for all such owners.
func (r *Root) Unmapped(st Stat) bool {
	return r.overflow.uid != nil && st.UID == *r.overflow.uid || r.overflow.gid != nil && st.GID == *r.overflow.gid
}

// mapsAll reports whether a namespace maps every ID to itself.
func mapsAll(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && strings.Join(strings.Fields(string(text)), " ") == "0 0 4294967295"
}
