// Package scan turns a directory tree into file records in order.
//
// It reads metadata only: no file is opened but directories and CACHEDIR.TAG. What it leaves out is
// counted and named in a Report; what an image cannot hold is an error that lists every such path.
package scan

import (
	"context"
	"sort"
	"strings"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// Special says what becomes of sockets, FIFOs and devices.
type Special int

// The choices; the zero value refuses.
const (
	SpecialRefuse Special = iota
	SpecialSkip
	SpecialKeep
)

// Options tune a scan. The zero value takes everything and refuses special files.
type Options struct {
	// Prune leaves out physical paths of the tree, with or without the slash in front: with a slash
	// at the end only what is in them.
	Prune []string
	// CrossMounts goes into what is mounted below the root.
	CrossMounts bool
	// SkipCaches leaves out what is in directories marked by a CACHEDIR.TAG.
	SkipCaches bool
	Special    Special
	// KeepXattrs names extended attributes that are kept although they are dropped by default.
	KeepXattrs []string
	// Output tells the file that the stream or image is being written to. It is
	// called by several goroutines.
	Output func(rootfs.Stat) bool
	// Whiteouts takes a character device 0, 0 for what it is in overlayfs: a file that is deleted.
	Whiteouts bool
	// Components names what a record belongs to; nil leaves that to later stages.
	Components func(*format.File) ([]string, error)
	// Readers is the number of directories read at once; 0 is a few. The records do not depend on
	// it.
	Readers int
}

// defaultReaders keep a disk busy, which takes more of them than there are cores.
const defaultReaders = 8

func (o Options) readers() int {
	if o.Readers <= 0 {
		return defaultReaders
	}
	return o.Readers
}

// Report says what a scan left out.
type Report struct {
	// Files counts the records, Bytes the sizes of regular files, hard links once.
	Files int64
	Bytes int64
	// Dropped counts the files that lost an extended attribute, by its name.
	Dropped map[string]int64
	// Skipped counts special files and paths marked to be skipped, by reason.
	Skipped map[string]int64
	// Notes name single paths that were left out, in order.
	Notes []Note
	// Unmapped counts the files of owners that the process's user namespace may not map.
	Unmapped int64
	// Sparse are files with holes of more than LargeHoles, in order.
	Sparse []Sparse
	// OSTree is set where a repository of ostree was not left out.
	OSTree bool
	// Unmatched are those of Options.Prune that nothing was found at.
	Unmatched []string
}

// LargeHoles is how much of a file may take no room on the disk, in bytes, before it is worth a
// word: in a layer it is zeros that have to be read, hashed and compressed.
const LargeHoles = 1_000_000_000

// Sparse is a file that is much larger in an image than it is on the disk.
type Sparse struct {
	Path  string
	Holes int64 // bytes
}

// Note says what of a path was left out.
type Note struct{ Path, What string }

func (r *Report) note(path, what string) { r.Notes = append(r.Notes, Note{path, what}) }

func (r *Report) drop(xattr string) { count(&r.Dropped, xattr, 1) }
func (r *Report) skip(why string)   { count(&r.Skipped, why, 1) }

func count(m *map[string]int64, name string, n int64) {
	if *m == nil {
		*m = make(map[string]int64)
	}
	(*m)[name] += n
}

// add takes over what one directory's report says.
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

// Counts returns the entries of a report's map in the order of their names.
func Counts(m map[string]int64) []Count {
	list := make([]Count, 0, len(m))
	for name, n := range m {
		list = append(list, Count{name, n})
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	return list
}

// Count is one named number.
type Count struct {
	Name string
	N    int64
}

// ostreeRepo is where a bootable image has the repository of ostree, which holds all of its files
// once more.
const ostreeRepo = "/sysroot/ostree/"

// Deletions is the component of whiteouts.
const Deletions = "chunkah/deletions"

// Run writes the stream of the tree at root. The header's source date is the caller's, and so are
// its sources, which stand in the root's place. A FaultsError comes with the report: all of the
// tree that an image can have was written by then, but the stream is not finished.
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
