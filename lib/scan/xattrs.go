package scan

import (
	"slices"
	"strconv"
	"strings"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// skipXattrs mark files and directories that are to be left out. One xattr is chunkah's, the other
// is rpm-ostree's.
var skipXattrs = []string{"user.chunkah.skip", "user.rpmostree.skip"}

// dropped reports whether an xattr belongs to the tree's host. SELinux labels are set by the policy
// of the system that unpacks the image. trusted.* and overlay markers matter only to a storage
// driver.
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

// rename renames the xattrs of a record. Xattrs that already have the new names are removed.
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

// keeps reports whether an xattr is kept. If not, it adds the reason to the report.
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
