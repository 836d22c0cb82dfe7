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

// source is what is scanned, and how. Nothing changes in it but the marks of the pruner, so that
// several readings share it.
type source struct {
	root  *rootfs.Root
	opt   Options
	prune *pruner
}

// reading is what one directory was found to hold, and what is to be said of it. Whoever reads it
// has it alone, until it is done.
type reading struct {
	*source
	path    string
	dir     inode // that of its record
	entries []entry
	// files are the records of the entries, in one piece of memory: so many pieces more would take
	// longer to make and to look after than to fill.
	files  []format.File
	report Report
	faults faults
	err    error // ends the walk
	done   chan struct{}
	taken  bool // by one who reads it
}

// entry is one name of a directory.
type entry struct {
	file *format.File
	// link is the inode of a file that has several names, else zero.
	link inode
	// into is that of a directory whose contents belong to the tree, else zero.
	into inode
}

func newReading(s *source, path string, dir inode) *reading {
	return &reading{source: s, path: path, dir: dir, done: make(chan struct{})}
}

// errChanged says that what was read belongs to more than one state of the tree.
var errChanged = errors.New("it changed: nothing may write to the root while an image is made of it")

// looks bounds how often a directory is read that changes meanwhile. In a live root that happens
// now and then, twice in a row hardly ever.
const looks = 10

// settled repeats what makes a reading until it was of one state of the tree.
func (r *reading) settled(read func() error) (err error) {
	for range looks {
		r.entries, r.files, r.report, r.faults = nil, nil, Report{}, nil
		if err = read(); !errors.Is(err, errChanged) {
			return err
		}
	}
	return err
}

// readTop makes the record of the root itself.
func (r *reading) readTop() error { return r.settled(r.readTopOnce) }

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
	if err := r.look(d, "", "/", st); err != nil {
		return err
	}
	if len(r.entries) == 0 {
		return fmt.Errorf("scanning %q: its root is marked to be skipped by an xattr, %s: nothing would be left",
			r.root.Path(), strings.Join(skipXattrs, " or "))
	}
	return nil
}

// read looks at all names of the directory.
func (r *reading) read(ctx context.Context) error {
	return r.settled(func() error { return r.readOnce(ctx) })
}

func (r *reading) readOnce(ctx context.Context) error {
	d, err := r.root.OpenDir(r.path)
	if err != nil {
		return r.faults.unlessDenied(r.path, err)
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return err
	}
	if (inode{st.Dev, st.Ino}) != r.dir {
		return fmt.Errorf("scanning %q: another directory has taken its place: %w", r.path, errChanged)
	}
	names, err := d.Names()
	if err != nil {
		return r.faults.unlessDenied(r.path, err)
	}
	if r.opt.SkipCaches && isCache(d, names) {
		r.report.note(r.path, "the contents of the cache directory")
		return nil
	}
	r.entries = make([]entry, 0, len(names))
	r.files = make([]format.File, 0, len(names))
	for i, path := range below(r.path, names) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.name(d, names[i], path); err != nil {
			if err := r.faults.unlessDenied(path, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// below returns the paths of names in a directory, all in one piece of memory.
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

// name looks at one name.
func (r *reading) name(d *rootfs.Dir, name, path string) error {
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
		r.report.note(path, "the output itself")
		return nil
	}
	taken := len(r.entries)
	err = r.look(d, name, path, st)
	if len(r.entries) > taken && strings.HasPrefix(name, ".wh.") {
		r.entries = r.entries[:taken]
		r.faults.add(FaultWhiteout, path, "")
	}
	return err
}

// look makes the record of what is at path, if it belongs to the tree.
func (r *reading) look(d *rootfs.Dir, name, path string, st rootfs.Stat) error {
	r.files = append(r.files, format.File{
		Path: path, Mode: st.Mode & 0o7777, UID: st.UID, GID: st.GID,
		MTime: st.MTime, MTimeNsec: st.MTimeNsec,
	})
	f := &r.files[len(r.files)-1]
	mounted := st.MountRoot && !r.opt.CrossMounts
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		f.Type = format.TypeDir
	case unix.S_IFREG:
		f.Type, f.Size, f.Stamp = format.TypeFile, st.Size, st.Stamp()
		if st.Holes > LargeHoles && !mounted {
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

// complete fills in what only some types have, and looks whether a file can be read: that is for a
// later stage, which would find them one by one.
func complete(d *rootfs.Dir, name string, f *format.File) (err error) {
	switch f.Type {
	case format.TypeFile:
		err = d.Readable(name)
	case format.TypeSymlink:
		f.Target, err = d.Readlink(name)
	}
	return err
}

// unchanged makes sure that the xattrs and the target are those of what st describes. Of a regular
// file the stamp tells, when its contents are read.
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

// mountPoint makes a record stand for what is below a mount: the empty directory, or an empty file
// whose own metadata the mount hides.
func (r *reading) mountPoint(f *format.File) {
	if f.Type == format.TypeDir {
		if !r.prune.empties(f.Path) { // who said so need not be told
			r.report.note(f.Path, "the contents of the mount point")
		}
		return
	}
	r.report.note(f.Path, "the file mounted over")
	*f = format.File{Path: f.Path, Type: format.TypeFile, Mode: 0o644}
}
