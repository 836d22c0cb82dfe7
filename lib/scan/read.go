package scan

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// source is what is scanned, and how. Nothing changes in it but the marks of the
// pruner, so that several readings share it.
type source struct {
	root  *rootfs.Root
	opt   Options
	prune *pruner
}

// reading is what one directory was found to hold, and what is to be said of it.
// Whoever reads it has it alone, until it is done.
type reading struct {
	*source
	path    string
	entries []entry
	// files are the records of the entries, in one piece of memory: so many pieces
	// more would take longer to make and to look after than to fill.
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
	// into is set for a directory whose contents belong to the tree.
	into bool
}

func newReading(s *source, path string) *reading {
	return &reading{source: s, path: path, done: make(chan struct{})}
}

// readTop makes the record of the root itself.
func (r *reading) readTop() error {
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
	d, err := r.root.OpenDir(r.path)
	if err != nil {
		return r.faults.unlessDenied(r.path, err)
	}
	defer d.Close()
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
		f.Type, f.Size = format.TypeFile, st.Size
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
	if f.Type == format.TypeDir {
		e.into = !r.prune.empties(path)
	} else if st.Links > 1 {
		e.link = inode{st.Dev, st.Ino}
	}
	r.entries = append(r.entries, e)
	return nil
}

// complete fills in what only some types have, and looks whether a file can be
// read: that is for a later stage, which would find them one by one.
func complete(d *rootfs.Dir, name string, f *format.File) (err error) {
	switch f.Type {
	case format.TypeFile:
		err = d.Readable(name)
	case format.TypeSymlink:
		f.Target, err = d.Readlink(name)
	}
	return err
}

// mountPoint makes a record stand for what is below a mount: the empty
// directory, or an empty file whose own metadata the mount hides.
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
