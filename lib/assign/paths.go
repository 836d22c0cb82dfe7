package assign

import (
	"sort"
	"strings"

	"chunkah/format"
)

// HasControl reports whether a name contains a control character. No package name contains one.
func HasControl(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Below returns the range of records below a physical directory. The directory itself needs no
// record.
func (t *Tree) Below(dir string) (from, to int) {
	from = sort.Search(len(t.Files), func(i int) bool { return format.ComparePaths(t.Files[i].Path, dir) > 0 })
	to = from + sort.Search(len(t.Files)-from, func(i int) bool { return !format.IsBelow(dir, t.Files[from+i].Path) })
	return from, to
}

// Holds reports whether record i is a directory with a record below it.
func (t *Tree) Holds(i int) bool {
	return t.Files[i].Type == format.TypeDir && i+1 < len(t.Files) && format.IsBelow(t.Files[i].Path, t.Files[i+1].Path)
}
