// Package scan turns a directory tree into file records in order.
//
// Scan reads only metadata. It opens no files except directories and CACHEDIR.TAG. A Report counts
// and names everything that was left out. If paths cannot be stored in an image, the error lists
// all of them.
package scan

import (
	"context"
	"sort"
	"strings"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// Special defines how to handle sockets, FIFOs and devices.
type Special int

// The choices. The zero value refuses special files.
const (
	SpecialRefuse Special = iota
	SpecialSkip
	SpecialKeep
)

// LiveContents are paths in a running system that do not belong in an image.
var LiveContents = []string{"/tmp/", "/var/tmp/", "/proc/", "/sys/", "/dev/", "/run/"}

// Options configure a scan. The zero value includes everything, but refuses special files.
type Options struct {
	// Prune lists physical paths to leave out, with or without a leading slash. For a path with a
	// trailing slash, only the contents are left out.
	Prune []string
	// CrossMounts includes everything mounted below the root.
	CrossMounts bool
	// SkipCaches leaves out the contents of directories with a CACHEDIR.TAG.
	SkipCaches bool
	Special    Special
	// KeepXattrs lists extended attributes that are dropped by default but are to be kept.
	KeepXattrs []string
	// MapXattrs renames extended attributes. The keys are the names in the tree, the values the
	// names in the records. A renamed attribute replaces an attribute that already has the new name
	// in the tree.
	MapXattrs map[string]string
	// Output reports whether a file is the one that the stream or image is written to. Several
	// goroutines can call it at the same time.
	Output func(rootfs.Stat) bool
	// Whiteouts treats character devices 0/0 as deleted files, as in overlayfs.
	Whiteouts bool
	// Components returns the components of a record. If it is nil, later stages set them.
	Components func(*format.File) ([]string, error)
	// Readers is the number of directories read in parallel; 0 means the default. It does not
	// affect the records.
	Readers int
}

// defaultReaders is enough to keep a disk busy, which requires more readers than cores.
const defaultReaders = 8

func (o Options) readers() int {
	if o.Readers <= 0 {
		return defaultReaders
	}
	return o.Readers
}

// Report describes the files that a scan left out.
type Report struct {
	// Files is the number of records. Bytes is the total size of regular files. Hard links are
	// counted once.
	Files int64
	Bytes int64
	// Dropped counts the files that lost an extended attribute, by attribute name.
	Dropped map[string]int64
	// Skipped counts, by reason, the skipped files: special files and paths with a skip xattr.
	Skipped map[string]int64
	// Notes lists single paths that were left out, in order.
	Notes []Note
	// Unmapped counts files whose owner may be outside the process's user namespace.
	Unmapped int64
	// Sparse lists the files with holes of more than 1 GB, in order.
	Sparse []Sparse
	// OSTree is set if an ostree repository was included.
	OSTree bool
	// Unmatched lists the paths in Options.Prune that matched nothing.
	Unmatched []string
}

// largeHoles is the size in bytes above which a file's holes are reported. A layer stores holes as
// zeros, which have to be read, hashed and compressed.
const largeHoles = 1_000_000_000

// Sparse is a file that is much larger in an image than on disk.
type Sparse struct {
	Path  string
	Holes int64 // bytes
}

// Note describes what was left out at a path.
type Note struct{ Path, What string }

func (r *Report) leftOut(path, what string) { r.Notes = append(r.Notes, Note{path, what}) }

func (r *Report) drop(xattr string) { count(&r.Dropped, xattr, 1) }
func (r *Report) skip(why string)   { count(&r.Skipped, why, 1) }

func count(m *map[string]int64, name string, n int64) {
	if *m == nil {
		*m = make(map[string]int64)
	}
	(*m)[name] += n
}

// add adds the report of a directory.
func (r *Report) add(more *Report) {
	r.Notes = append(r.Notes, more.Notes...)
	r.Unmapped += more.Unmapped
	r.Sparse = append(r.Sparse, more.Sparse...)
	for xattr, n := range more.Dropped {
		count(&r.Dropped, xattr, n)
	}
	for why, n := range more.Skipped {
		count(&r.Skipped, why, n)
	}
}

// Counts returns the entries of a report's map, sorted by name.
func Counts(m map[string]int64) []Count {
	list := make([]Count, 0, len(m))
	for name, n := range m {
		list = append(list, Count{name, n})
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	return list
}

// Count is a named number.
type Count struct {
	Name string
	N    int64
}

// ostreeRepo is the ostree repository of a bootable image, which contains a second copy of all
// files.
const ostreeRepo = "/sysroot/ostree/"

// Run writes the stream of the tree at root. The caller sets the source date and the sources in the
// header. If there are sources, Run does not set the header's root. If the error is a FaultsError,
// Run also returns a report. In this case all records without problems were written, but the stream
// is not finished.
func Run(ctx context.Context, root *rootfs.Root, header format.Header, opt Options, out format.Sink) (*Report, error) {
	header.Version, header.Stage = format.Version, format.StageScan
	if len(header.Sources) == 0 {
		header.Root = root.Path()
	}
	if err := out.Write(&header); err != nil {
		return nil, err
	}
	report := &Report{}
	linked := make(map[int64]bool)
	for f, err := range Walk(ctx, root, opt, report) {
		if err != nil {
			return report, err
		}
		report.Files++
		report.OSTree = report.OSTree || strings.HasPrefix(f.Path, ostreeRepo)
		if f.Hardlink == 0 || !linked[f.Hardlink] {
			report.Bytes += f.Size
		}
		if f.Hardlink != 0 {
			linked[f.Hardlink] = true
		}
		if opt.Components != nil && f.Components == nil {
			if f.Components, err = opt.Components(f); err != nil {
				return nil, err
			}
		}
		if err := out.Write(f); err != nil {
			return nil, err
		}
	}
	return report, out.Finish()
}
