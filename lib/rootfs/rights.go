package rootfs

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// readsAll reports whether permissions do not keep this process from reading
// anything: it has the capability, and not only for the users of a namespace.
func readsAll() bool {
	const mask = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil || data[0].Effective&mask == 0 {
		return false
	}
	return mapsAll("/proc/self/uid_map") && mapsAll("/proc/self/gid_map")
}

// mapsAll reports whether a namespace has all IDs, each as itself.
func mapsAll(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && strings.Join(strings.Fields(string(text)), " ") == "0 0 4294967295"
}
