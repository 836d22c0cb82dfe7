package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// mountTable lists the mount points below a root. It is used on kernels whose statx does not report
// mount points.
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
