package scan

import (
	"slices"
	"strings"

	"chunkah/format"
)

// skipXattrs mark a file or directory that is not to be in the image: chunkah's
// own and rpm-ostree's.
var skipXattrs = []string{"user.chunkah.skip", "user.rpmostree.skip"}

// dropped reports whether an xattr is left out because it belongs to the host
// that the tree lies on: SELinux labels come from the policy of the system that
// unpacks, trusted.* and overlay markers mean something to a storage driver
// only.
func dropped(name string) bool {
	return name == "security.selinux" || strings.HasPrefix(name, "trusted.") ||
		strings.HasPrefix(name, "user.overlay.")
}

// keepXattrs puts on the record what is to be in the image. It returns false
// where the file is marked to be skipped.
func (w *walker) keepXattrs(f *format.File, attrs []format.Xattr) bool {
	for _, x := range attrs {
		if slices.Contains(skipXattrs, x.Name) {
			w.report.skip("marked by the xattr " + x.Name)
			return false
		}
	}
	for _, x := range attrs {
		switch {
		case dropped(x.Name) && !slices.Contains(w.opt.KeepXattrs, x.Name):
			w.report.drop(x.Name)
		case strings.Contains(x.Name, "=") || format.Text(x.Name) != x.Name:
			w.faults.xattr(f.Path, x.Name)
		default:
			f.Xattrs = append(f.Xattrs, x)
		}
	}
	return true
}
