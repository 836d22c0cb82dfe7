package rootfs

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// readsAll reports whether permissions do not keep this process from reading anything: it has the
// capability, and not only for the users of a namespace.
func readsAll() bool {
	const mask = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil || data[0].Effective&mask == 0 {
		return false
	}
	return mapsAll("/proc/self/uid_map") && mapsAll("/proc/self/gid_map")
}

// nobody are the owners that stand for those which a user namespace does not map; empty where it
// maps all.
type nobody struct{ uid, gid *uint32 }

// readNobody reads them for this process's namespace.
func readNobody() (n nobody) {
	if !mapsAll("/proc/self/uid_map") {
		n.uid = readID("/proc/sys/kernel/overflowuid")
	}
	if !mapsAll("/proc/self/gid_map") {
		n.gid = readID("/proc/sys/kernel/overflowgid")
	}
	return n
}

// readID reads a number, nil where there is none to read.
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

// Unmapped reports whether an owner of a file is, or may be, one that this process's user namespace
// does not map: it shows 65534 for all of those.
func (r *Root) Unmapped(st Stat) bool {
	return r.nobody.uid != nil && st.UID == *r.nobody.uid || r.nobody.gid != nil && st.GID == *r.nobody.gid
}

// mapsAll reports whether a namespace has all IDs, each as itself.
func mapsAll(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && strings.Join(strings.Fields(string(text)), " ") == "0 0 4294967295"
}
