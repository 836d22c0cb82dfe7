package layer

import (
	"bytes"
	"fmt"
	"slices"

	"chunkah/format"
)

// CheckLink refuses another name of an inode if its metadata differs from the first name's, because
// a tar contains the metadata only once.
func CheckLink(first, f *format.File) error {
	sizes := f.Size == first.Size || f.Size == format.SizeUnknown || first.Size == format.SizeUnknown
	if sizes && f.Type == first.Type && f.Target == first.Target && f.Mode == first.Mode &&
		f.UID == first.UID && f.GID == first.GID && f.DevMajor == first.DevMajor && f.DevMinor == first.DevMinor &&
		f.MTime == first.MTime && SameXattrs(f, first) {
		return nil
	}
	return fmt.Errorf("%q and %q are hard links to one file but differ in type, mode, owner, size, mtime, target or xattrs",
		first.Path, f.Path)
}

// SameXattrs reports whether two records have the same extended attributes.
func SameXattrs(a, b *format.File) bool {
	return slices.EqualFunc(a.Xattrs, b.Xattrs, func(x, y format.Xattr) bool {
		return x.Name == y.Name && bytes.Equal(x.Value, y.Value)
	})
}
