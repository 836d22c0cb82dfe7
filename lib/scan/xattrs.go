package scan

import (
	"slices"
	"strconv"
	"strings"

	"chunkah/format"
	"chunkah/lib/rootfs"
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

// xattrs puts on the record those that are to be in the image. It returns false
// where the file is marked to be skipped. The values of others are not read.
func (r *reading) xattrs(d *rootfs.Dir, name string, f *format.File) (keep bool, err error) {
	names, err := d.XattrNames(name)
	if err != nil {
		return false, err
	}
	for _, x := range names {
		if slices.Contains(skipXattrs, x) {
			r.report.skip("marked by the xattr " + x)
			return false, nil
		}
	}
	for _, x := range names {
		switch {
		case dropped(x) && !slices.Contains(r.opt.KeepXattrs, x):
			r.report.drop(x)
		case strings.Contains(x, "=") || format.Text(x) != x:
			r.faults.add(FaultXattr, f.Path, strconv.Quote(x))
		default:
			value, found, err := d.Xattr(name, x)
			if err != nil {
				return false, err
			}
			if found {
				f.Xattrs = append(f.Xattrs, format.Xattr{Name: x, Value: value})
			}
		}
	}
	return true, nil
}
