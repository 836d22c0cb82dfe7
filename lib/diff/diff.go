// Package diff compares two file systems, record by record: types, modes, owners, devices, symlink
// targets, hard-link groups, xattrs, times and contents. It also compares the configs of two
// images.
//
// It finds every difference and lists them in the order of format.ComparePaths. It ignores the mode
// of symlinks, which has no meaning on Linux, and the size of everything but regular files.
package diff

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"chunkah/format"
	"chunkah/lib/metrics"
	"chunkah/lib/rootfs"
)

// Side is one of the two compared file systems.
type Side struct {
	// Files are the records, in order. The comparison can change them.
	Files iter.Seq2[*format.File, error]
	// Root is the root from which files are read. It can be nil if Sum is set.
	Root *rootfs.Root
	// Sum returns the known SHA-256 of a regular file. If it is nil, contents are read.
	Sum func(path string) (Sum, error)
}

// Options select the differences to ignore. The zero value compares everything.
type Options struct {
	// IgnoreMTime ignores mtimes.
	IgnoreMTime bool
	// AsInLayers ignores everything that a layer cannot store: nanoseconds, and xattrs without a
	// value.
	AsInLayers bool
	// SkipXattr selects extended attributes to ignore. It can be nil.
	SkipXattr func(name string) bool
	// Work counts the bytes of contents that are read. It can be nil.
	Work *metrics.Work
	// Threads is the largest number of files that are read in parallel. 0 means the number of
	// cores.
	Threads int
}

// Field is the property that differs.
type Field string

// The fields.
const (
	FieldType     Field = "type" // value is nil if one side lacks the file
	FieldMode     Field = "mode" // octal
	FieldUID      Field = "uid"
	FieldGID      Field = "gid"
	FieldSize     Field = "size"     // in bytes
	FieldContents Field = "contents" // of equal length; the values are SHA-256 sums if known
	FieldTarget   Field = "target"
	FieldDevice   Field = "device"   // MAJOR:MINOR
	FieldHardlink Field = "hardlink" // the first other name of the inode that exists on both sides
	FieldXattr    Field = "xattr"
	FieldMTime    Field = "mtime" // unix seconds, with a fraction if nanoseconds are compared
	// The remaining fields belong to an image, not to a file.
	FieldConfig     Field = "config"     // values are JSON
	FieldAnnotation Field = "annotation" // of the manifest
)

// order is the order of fields within a file.
var order = []Field{
	FieldType, FieldMode, FieldUID, FieldGID, FieldSize, FieldContents, FieldTarget, FieldDevice, FieldHardlink, FieldXattr, FieldMTime,
}

// Difference is one difference between the sides.
type Difference struct {
	Path  string // empty for fields of an image
	Field Field
	Name  string  // of the xattr, annotation or config key
	A, B  *string // raw bytes; nil if a side has no value
}

// Run compares two file systems. It returns an error if a side cannot be read.
func Run(ctx context.Context, a, b Side, opt Options) ([]Difference, error) {
	if opt.Threads <= 0 {
		opt.Threads = runtime.GOMAXPROCS(0)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(opt.Threads)
	c := &comparison{
		opt: opt, a: a, b: b, group: group, linksA: map[int64]string{}, linksB: map[int64]string{},
		compared: map[[2]int64]bool{},
	}
	err := c.merge(ctx)
	if wrong := group.Wait(); wrong != nil {
		err = wrong // the error that stopped the merge, if any
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(c.found, compare)
	return c.found, nil
}

// compare sorts differences. Differences in contents are found by other goroutines, so they are not
// in order.
func compare(x, y Difference) int {
	return cmp.Or(
		format.ComparePaths(x.Path, y.Path),
		cmp.Compare(slices.Index(order, x.Field), slices.Index(order, y.Field)),
		strings.Compare(x.Name, y.Name),
	)
}

// comparison is the state of one call of Run.
type comparison struct {
	opt   Options
	a, b  Side
	group *errgroup.Group // reads contents
	batch batch           // the next batch to read

	// linksA and linksB map each hard-link group to its first name among the names that exist on
	// both sides. The two groupings are equal if and only if each name's group has the same first
	// name on both sides.
	linksA, linksB map[int64]string
	// compared contains the pairs of groups whose contents have already been compared.
	compared map[[2]int64]bool

	mu    sync.Mutex
	found []Difference
}

func (c *comparison) add(d Difference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = append(c.found, d)
}

// merge walks both sides in parallel.
func (c *comparison) merge(ctx context.Context) error {
	nextA, stopA := iter.Pull2(c.a.Files)
	defer stopA()
	nextB, stopB := iter.Pull2(c.b.Files)
	defer stopB()
	f, err := pull(nextA)
	if err != nil {
		return err
	}
	g, err := pull(nextB)
	for (f != nil || g != nil) && err == nil && ctx.Err() == nil {
		var which int
		switch {
		case f == nil:
			which = 1
		case g == nil:
			which = -1
		default:
			which = format.ComparePaths(f.Path, g.Path)
		}
		switch {
		case which < 0:
			c.add(Difference{Path: f.Path, Field: FieldType, A: new(f.Type.String())})
		case which > 0:
			c.add(Difference{Path: g.Path, Field: FieldType, B: new(g.Type.String())})
		default:
			c.files(ctx, f, g)
		}
		if which <= 0 {
			f, err = pull(nextA)
		}
		if which >= 0 && err == nil {
			g, err = pull(nextB)
		}
	}
	c.flush(ctx)
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// pull returns the next record, or nil at the end.
func pull(next func() (*format.File, error, bool)) (*format.File, error) {
	f, err, ok := next()
	if !ok {
		return nil, nil
	}
	return f, err
}

// files compares two records with the same path.
func (c *comparison) files(ctx context.Context, f, g *format.File) {
	differ := func(field Field, a, b string) {
		if a != b {
			c.add(Difference{Path: f.Path, Field: field, A: &a, B: &b})
		}
	}
	c.links(f, g)
	if f.Type != g.Type {
		differ(FieldType, f.Type.String(), g.Type.String())
		return
	}
	if f.Type != format.TypeSymlink {
		differ(FieldMode, octal(f.Mode), octal(g.Mode))
	}
	differ(FieldUID, number(f.UID), number(g.UID))
	differ(FieldGID, number(f.GID), number(g.GID))
	if f.Type == format.TypeFile {
		differ(FieldSize, strconv.FormatInt(f.Size, 10), strconv.FormatInt(g.Size, 10))
		if f.Size == g.Size && f.Size > 0 && c.first(f, g) {
			c.compare(ctx, f)
		}
	}
	differ(FieldTarget, f.Target, g.Target)
	differ(FieldDevice, device(f), device(g))
	c.xattrs(f, g)
	if !c.opt.IgnoreMTime {
		differ(FieldMTime, c.mtime(f), c.mtime(g))
	}
}

// first reports whether the contents need to be compared. The contents of a hard-linked file are
// compared only once.
func (c *comparison) first(f, g *format.File) bool {
	if f.Hardlink == 0 || g.Hardlink == 0 {
		return true
	}
	pair := [2]int64{f.Hardlink, g.Hardlink}
	was := c.compared[pair]
	c.compared[pair] = true
	return !was
}

// links compares hard-link groups.
func (c *comparison) links(f, g *format.File) {
	a, b := firstName(c.linksA, f), firstName(c.linksB, g)
	if a == b {
		return
	}
	d := Difference{Path: f.Path, Field: FieldHardlink}
	if a != f.Path {
		d.A = &a
	}
	if b != f.Path {
		d.B = &b
	}
	c.add(d)
}

// firstName returns the first name of a file's inode. It can be the file's own name.
func firstName(firsts map[int64]string, f *format.File) string {
	if f.Hardlink == 0 {
		return f.Path
	}
	if _, known := firsts[f.Hardlink]; !known {
		firsts[f.Hardlink] = f.Path
	}
	return firsts[f.Hardlink]
}

// xattrs compares two sorted lists of xattrs.
func (c *comparison) xattrs(f, g *format.File) {
	a, b := c.counted(f.Xattrs), c.counted(g.Xattrs)
	for len(a) > 0 || len(b) > 0 {
		d := Difference{Path: f.Path, Field: FieldXattr}
		var which int
		switch {
		case len(a) == 0:
			which = 1
		case len(b) == 0:
			which = -1
		default:
			which = strings.Compare(a[0].Name, b[0].Name)
		}
		if which <= 0 {
			d.Name, d.A, a = a[0].Name, new(string(a[0].Value)), a[1:]
		}
		if which >= 0 {
			d.Name, d.B, b = b[0].Name, new(string(b[0].Value)), b[1:]
		}
		if which != 0 || *d.A != *d.B {
			c.add(d)
		}
	}
}

// counted returns the xattrs that are not ignored, sorted.
func (c *comparison) counted(all []format.Xattr) []format.Xattr {
	list := slices.DeleteFunc(all, func(x format.Xattr) bool {
		return c.opt.AsInLayers && len(x.Value) == 0 || c.opt.SkipXattr != nil && c.opt.SkipXattr(x.Name)
	})
	slices.SortFunc(list, func(x, y format.Xattr) int { return strings.Compare(x.Name, y.Name) })
	return list
}

func (c *comparison) mtime(f *format.File) string {
	if f.MTimeNsec == 0 || c.opt.AsInLayers {
		return strconv.FormatInt(f.MTime, 10)
	}
	if f.MTime >= 0 {
		return fmt.Sprintf("%d.%09d", f.MTime, f.MTimeNsec)
	}
	// Before 1970, MTime is negative, but MTimeNsec still counts forward, so the fraction is
	// inverted.
	const second = 1_000_000_000
	sec := strconv.FormatInt(-f.MTime-1, 10)
	return fmt.Sprintf("-%s.%09d", sec, second-int64(f.MTimeNsec))
}

func octal(mode uint16) string { return fmt.Sprintf("%04o", mode) }

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func device(f *format.File) string {
	if f.Type != format.TypeChar && f.Type != format.TypeBlock {
		return ""
	}
	return fmt.Sprintf("%d:%d", f.DevMajor, f.DevMinor)
}
