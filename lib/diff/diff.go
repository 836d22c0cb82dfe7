// Package diff compares two file systems, record by record: types, modes, owners,
// devices, symlink targets, hard-link groups, xattrs, times and bytes; and what two
// image configs say.
//
// It finds every difference, and lists them in the order of format.ComparePaths.
// What it does not look at: the mode of a symlink, which means nothing on Linux, and
// the size of anything but a regular file.
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
	"chunkah/lib/rootfs"
)

// Side is one of the two file systems.
type Side struct {
	// Files are its records, in order. They are the comparison's from then on.
	Files iter.Seq2[*format.File, error]
	// Root has the contents of its files. It may be nil where Sum is not.
	Root *rootfs.Root
	// Sum tells the SHA-256 of a regular file that is known already; nil where the
	// contents are to be read.
	Sum func(path string) (Sum, error)
}

// Options say what does not count. The zero value compares everything.
type Options struct {
	// IgnoreMTime leaves out times of last change.
	IgnoreMTime bool
	// AsInLayers leaves out what is lost on the way into a layer and out of it:
	// nanoseconds, and xattrs without a value.
	AsInLayers bool
	// SkipXattr names extended attributes that do not count; nil for none.
	SkipXattr func(name string) bool
	// Threads bounds the files whose contents are read at once; 0 is one a core.
	Threads int
}

// Field is what of a file differs.
type Field string

// The fields.
const (
	FieldType     Field = "type" // a side without a value has no such file
	FieldMode     Field = "mode" // octal
	FieldUID      Field = "uid"
	FieldGID      Field = "gid"
	FieldSize     Field = "size"     // in bytes
	FieldContents Field = "contents" // equally long; the values are SHA-256 sums where those are known
	FieldTarget   Field = "target"
	FieldDevice   Field = "device"   // MAJOR:MINOR
	FieldHardlink Field = "hardlink" // the first other name of the inode that both sides have
	FieldXattr    Field = "xattr"
	FieldMTime    Field = "mtime" // unix seconds, with a fraction where that counts
	// The rest is of an image, not of a file.
	FieldConfig     Field = "config"     // values are JSON
	FieldAnnotation Field = "annotation" // of the manifest
)

// order is that of the fields of one file.
var order = []Field{
	FieldType, FieldMode, FieldUID, FieldGID, FieldSize, FieldContents, FieldTarget, FieldDevice, FieldHardlink, FieldXattr, FieldMTime,
}

// Difference is one thing in which the sides differ.
type Difference struct {
	Path  string // empty where it is about the image
	Field Field
	Name  string  // of the xattr, annotation or key of the config
	A, B  *string // bytes as they are; nil where a side has no such thing
}

// Run compares two file systems. An error is that of a side which cannot be read.
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
		err = wrong // why the merge was stopped, if it was
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(c.found, compare)
	return c.found, nil
}

// compare orders differences: contents are found beside all else.
func compare(x, y Difference) int {
	return cmp.Or(
		format.ComparePaths(x.Path, y.Path),
		cmp.Compare(slices.Index(order, x.Field), slices.Index(order, y.Field)),
		strings.Compare(x.Name, y.Name),
	)
}

// comparison is one call of Run.
type comparison struct {
	opt   Options
	a, b  Side
	group *errgroup.Group // reads contents
	batch batch           // the next to be read

	// linksA and linksB have the first name, of those that both sides have, of each
	// hard-link group. Two partitions of the same names are the same exactly where
	// each name has the same first one.
	linksA, linksB map[int64]string
	// compared are the pairs of groups whose contents are.
	compared map[[2]int64]bool

	mu    sync.Mutex
	found []Difference
}

func (c *comparison) add(d Difference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = append(c.found, d)
}

// merge walks both sides at once.
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
			c.add(Difference{Path: f.Path, Field: FieldType, A: new(string(f.Type))})
		case which > 0:
			c.add(Difference{Path: g.Path, Field: FieldType, B: new(string(g.Type))})
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

// pull returns the next record, nil at the end.
func pull(next func() (*format.File, error, bool)) (*format.File, error) {
	f, err, ok := next()
	if !ok {
		return nil, nil
	}
	return f, err
}

// files compares two records of one path.
func (c *comparison) files(ctx context.Context, f, g *format.File) {
	differ := func(field Field, a, b string) {
		if a != b {
			c.add(Difference{Path: f.Path, Field: field, A: &a, B: &b})
		}
	}
	c.links(f, g)
	if f.Type != g.Type {
		differ(FieldType, string(f.Type), string(g.Type))
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

// first reports whether the contents are to be compared: once for all names.
func (c *comparison) first(f, g *format.File) bool {
	if f.Hardlink == 0 || g.Hardlink == 0 {
		return true
	}
	pair := [2]int64{f.Hardlink, g.Hardlink}
	was := c.compared[pair]
	c.compared[pair] = true
	return !was
}

// links compares which names have one inode.
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

// firstName is the first name of a file's inode, its own if it is that.
func firstName(firsts map[int64]string, f *format.File) string {
	if f.Hardlink == 0 {
		return f.Path
	}
	if _, known := firsts[f.Hardlink]; !known {
		firsts[f.Hardlink] = f.Path
	}
	return firsts[f.Hardlink]
}

// xattrs compares two sorted lists.
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

// counted are the xattrs that count, sorted.
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
	// The fraction counts upwards from the second before.
	const second = 1_000_000_000
	sec := strconv.FormatInt(-f.MTime-1, 10)
	return fmt.Sprintf("-%s.%09d", sec, second-int64(f.MTimeNsec))
}

func octal(mode uint32) string { return fmt.Sprintf("%04o", mode) }

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func device(f *format.File) string {
	if f.Type != format.TypeChar && f.Type != format.TypeBlock {
		return ""
	}
	return fmt.Sprintf("%d:%d", f.DevMajor, f.DevMinor)
}
