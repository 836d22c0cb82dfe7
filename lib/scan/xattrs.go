package scan

import (
	"slices"
	"strconv"
	"strings"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// skipXattrs mark files and directories to leave out: chunkah's xattr and rpm-ostree's.
var skipXattrs = []string{"user.chunkah.skip", "user.rpmostree.skip"}

// dropped reports whether an xattr belongs to the host of the tree. SELinux labels come from the
// policy of the system that unpacks the image; trusted.* and overlay markers only matter to a
// storage driver.
func dropped(name string) bool {
	return name == "security.selinux" || strings.HasPrefix(name, "trusted.") ||
		strings.HasPrefix(name, "user.overlay.")
}

// xattrs adds the xattrs to keep to the record. It returns false if the file is marked to be
// skipped. Values of other xattrs are not read.
func (r *reading) xattrs(d *rootfs.Dir, name string, f *format.File) (keep bool, err error) {
	keep = true
	list, err := d.Xattrs(name, func(names []string) []string {
		keep = !slices.ContainsFunc(names, r.skips)
		return slices.DeleteFunc(names, func(x string) bool { return !keep || !r.keeps(f, x) })
	})
	for _, x := range list {
		f.Xattrs = append(f.Xattrs, format.Xattr(x))
	}
	r.rename(f)
	return keep, err
}

// rename renames the xattrs of a record. It removes those that already have the new names.
func (r *reading) rename(f *format.File) {
	if len(r.opt.MapXattrs) == 0 {
		return
	}
	var list []format.Xattr
	renamed := make(map[string]bool)
	for _, x := range f.Xattrs {
		if to := r.opt.MapXattrs[x.Name]; to != "" {
			list = append(list, format.Xattr{Name: to, Value: x.Value})
			renamed[to] = true
		}
	}
	for _, x := range f.Xattrs {
		if r.opt.MapXattrs[x.Name] == "" && !renamed[x.Name] {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b format.Xattr) int { return strings.Compare(a.Name, b.Name) })
	f.Xattrs = list
}

// skips reports whether an xattr marks its file to be skipped.
func (r *reading) skips(x string) bool {
	found := slices.Contains(skipXattrs, x)
	if found {
		r.report.skip("marked by the xattr " + x)
	}
	return found
}

// keeps reports whether an xattr is kept, and reports the reason if not.
func (r *reading) keeps(f *format.File, x string) bool {
	switch {
	case dropped(x) && !slices.Contains(r.opt.KeepXattrs, x) && r.opt.MapXattrs[x] == "":
		r.report.drop(x)
	case strings.Contains(x, "=") || format.Text(x) != x:
		r.faults.add(FaultXattr, f.Path, strconv.Quote(x))
	default:
		return true
	}
	return false
}
