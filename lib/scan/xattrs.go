package scan

import (
	"slices"
	"strconv"
	"strings"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// skipXattrs mark a file or directory that is not to be in the image: chunkah's own and
// rpm-ostree's.
var skipXattrs = []string{"user.chunkah.skip", "user.rpmostree.skip"}

// dropped reports whether an xattr is left out because it belongs to the host that the tree lies
// on: SELinux labels come from the policy of the system that unpacks, trusted.* and overlay markers
// mean something to a storage driver only.
func dropped(name string) bool {
	return name == "security.selinux" || strings.HasPrefix(name, "trusted.") ||
		strings.HasPrefix(name, "user.overlay.")
}

// xattrs puts on the record those that are to be in the image. It returns false where the file is
// marked to be skipped. The values of others are not read.
func (r *reading) xattrs(d *rootfs.Dir, name string, f *format.File) (keep bool, err error) {
	keep = true
	list, err := d.Xattrs(name, func(names []string) []string {
		keep = !slices.ContainsFunc(names, r.skips)
		return slices.DeleteFunc(names, func(x string) bool { return !keep || !r.takes(f, x) })
	})
	for _, x := range list {
		f.Xattrs = append(f.Xattrs, format.Xattr(x))
	}
	return keep, err
}

// skips reports whether an xattr marks its file to be skipped.
func (r *reading) skips(x string) bool {
	found := slices.Contains(skipXattrs, x)
	if found {
		r.report.skip("marked by the xattr " + x)
	}
	return found
}

// takes reports whether an xattr is to be in the image, and notes why not.
func (r *reading) takes(f *format.File, x string) bool {
	switch {
	case dropped(x) && !slices.Contains(r.opt.KeepXattrs, x):
		r.report.drop(x)
	case strings.Contains(x, "=") || format.Text(x) != x:
		r.faults.add(FaultXattr, f.Path, strconv.Quote(x))
	default:
		return true
	}
	return false
}
