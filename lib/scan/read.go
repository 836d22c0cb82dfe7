package scan

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// input is the input of a scan. Only the pruner's marks change, so several readings can share it.
type input struct {
	root  *rootfs.Root
	opt   Options
	prune *pruner
}

// reading is the content of one directory with its records. Until the reading is finished, only its
// reader uses it.
type reading struct {
	*input
	path    string
	dir     inode // inode of its record
	entries []entry
	// files are the records of the entries. They are allocated together, because many small
	// allocations would take longer than filling the records.
	files   []format.File
	report  Report
	faults  faults
	err     error // ends the walk
	done    chan struct{}
	claimed bool // by a reader
}

// entry is a name in a directory.
type entry struct {
	file *format.File
	// link is the inode of a file with several names, or else zero.
	link inode
	// into is the inode of a directory whose contents belong to the tree, or else zero.
	into inode
}

func newReading(s *input, path string, dir inode) *reading {
	return &reading{input: s, path: path, dir: dir, done: make(chan struct{})}
}

// errChanged is the error for data from different states of the tree.
var errChanged = errors.New("file changed: do not write to the root during the build")

// maxAttempts is the largest number of attempts to read a directory that changes. In a live root, a
// change during a read happens occasionally, but rarely twice in a row.
const maxAttempts = 10

// retry repeats a read until the result shows one consistent state of the tree.
func (r *reading) retry(read func() error) (err error) {
	for range maxAttempts {
		r.entries, r.files, r.report, r.faults = nil, nil, Report{}, nil
		if err = read(); !errors.Is(err, errChanged) {
			return err
		}
	}
	return err
}

// readTop makes the record of the root.
func (r *reading) readTop() error { return r.retry(r.readTopOnce) }

func (r *reading) readTopOnce() error {
	d, err := r.root.OpenDir("/")
	if err != nil {
		return err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return err
	}
	if err := r.addPath(d, "", "/", st); err != nil {
		return err
	}
	if len(r.entries) == 0 {
		return fmt.Errorf("scanning %q: the root directory is marked to be skipped by an xattr (%s): nothing would be left",
			r.root.Path(), strings.Join(skipXattrs, " or "))
	}
	return nil
}

// read reads all entries of the directory.
func (r *reading) read(ctx context.Context) error {
	return r.retry(func() error { return r.readOnce(ctx) })
}

func (r *reading) readOnce(ctx context.Context) error {
	d, err := r.root.OpenDir(r.path)
	if err != nil {
		return r.faults.collectDenied(r.path, err)
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return err
	}
	if (inode{st.Dev, st.Ino}) != r.dir {
		return fmt.Errorf("scanning %q: replaced by another directory: %w", r.path, errChanged)
	}
	names, err := d.Names()
	if err != nil {
		return r.faults.collectDenied(r.path, err)
	}
	if r.opt.SkipCaches && isCache(d, names) {
		r.report.leftOut(r.path, "the contents of the cache directory")
		return nil
	}
	r.entries = make([]entry, 0, len(names))
	r.files = make([]format.File, 0, len(names))
	for i, path := range below(r.path, names) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.addName(d, names[i], path); err != nil {
			if err := r.faults.collectDenied(path, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// below returns the paths of names in a directory. It needs only one allocation.
func below(dir string, names []string) []string {
	if dir != "/" {
		dir += "/"
	}
	size := 0
	for _, name := range names {
		size += len(dir) + len(name)
	}
	var all strings.Builder
	all.Grow(size)
	for _, name := range names {
		all.WriteString(dir)
		all.WriteString(name)
	}
	paths, rest := make([]string, len(names)), all.String()
	for i, name := range names {
		n := len(dir) + len(name)
		paths[i], rest = rest[:n], rest[n:]
	}
	return paths
}

// addName adds one name.
func (r *reading) addName(d *rootfs.Dir, name, path string) error {
	if r.prune.prunes(path) {
		return nil
	}
	if format.TooLong(path) {
		r.faults.tooLong(path)
		return nil
	}
	st, err := d.Lstat(name)
	if err != nil {
		return err
	}
	if r.opt.Output != nil && r.opt.Output(st) {
		r.report.leftOut(path, "the output")
		return nil
	}
	claimed := len(r.entries)
	err = r.addPath(d, name, path, st)
	if len(r.entries) > claimed && strings.HasPrefix(name, format.WhiteoutPrefix) {
		r.entries = r.entries[:claimed]
		r.faults.add(FaultWhiteout, path, "")
	}
	return err
}

// addPath adds the record of path if path belongs to the tree.
func (r *reading) addPath(d *rootfs.Dir, name, path string, st rootfs.Stat) error {
	r.files = append(r.files, format.File{
		Path: path, Mode: uint16(st.Mode & 0o7777), UID: st.UID, GID: st.GID,
		MTime: st.MTime, MTimeNsec: st.MTimeNsec,
	})
	f := &r.files[len(r.files)-1]
	mounted := st.MountRoot && !r.opt.CrossMounts
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		f.Type = format.TypeDir
	case unix.S_IFREG:
		f.Type, f.Size, f.Stamp = format.TypeFile, st.Size, st.Stamp()
		if st.Holes > largeHoles && !mounted {
			r.report.Sparse = append(r.report.Sparse, Sparse{path, st.Holes})
		}
	case unix.S_IFLNK:
		f.Type = format.TypeSymlink
	default:
		if !mounted && !r.special(f, st) {
			return nil
		}
	}
	e := entry{file: f}
	if mounted {
		r.mountPoint(f)
		r.entries = append(r.entries, e)
		return nil
	}
	keep, err := r.xattrs(d, name, f)
	if err != nil || !keep {
		return err
	}
	if err := complete(d, name, f); err != nil {
		return err
	}
	if err := unchanged(d, name, f, st); err != nil {
		return err
	}
	if f.Type == format.TypeDir {
		if !r.prune.empties(path) {
			e.into = inode{st.Dev, st.Ino}
		}
	} else if st.Links > 1 {
		e.link = inode{st.Dev, st.Ino}
	}
	if r.root.Unmapped(st) {
		r.report.Unmapped++
	}
	r.entries = append(r.entries, e)
	return nil
}

// complete fills in the fields that only certain types of files have. It also checks whether a file
// can be read, since a later stage would report unreadable files one by one.
func complete(d *rootfs.Dir, name string, f *format.File) (err error) {
	switch f.Type {
	case format.TypeFile:
		err = d.Readable(name)
	case format.TypeSymlink:
		f.Target, err = d.Readlink(name)
	}
	return err
}

// unchanged makes sure that the xattrs and the target belong to the file described by st. For
// regular files, the stamp ensures this when their contents are read.
func unchanged(d *rootfs.Dir, name string, f *format.File, st rootfs.Stat) error {
	if f.Type == format.TypeFile {
		return nil
	}
	look := d.Stat
	if name != "" {
		look = func() (rootfs.Stat, error) { return d.Lstat(name) }
	}
	now, err := look()
	if err == nil && !now.Same(st) {
		err = fmt.Errorf("scanning %q: %w", f.Path, errChanged)
	}
	return err
}

// mountPoint replaces the record of a mount point by a record of the underlying empty directory or
// file, whose own metadata the mount hides.
func (r *reading) mountPoint(f *format.File) {
	if f.Type == format.TypeDir {
		if !r.prune.empties(f.Path) { // pruned paths are not reported
			r.report.leftOut(f.Path, "the contents of the mount point")
		}
		return
	}
	r.report.leftOut(f.Path, "the file mounted on")
	*f = format.File{Path: f.Path, Type: format.TypeFile, Mode: 0o644}
}
