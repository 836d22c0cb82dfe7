package scan

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// Walk hands out the tree's records, a directory before what is in it and names
// in the order of their bytes: format.ComparePaths. An error ends the walk,
// except that faults which many files may share are gathered and come last, as
// one error. What was left out is counted in report.
func Walk(ctx context.Context, root *rootfs.Root, opt Options, report *Report) iter.Seq2[*format.File, error] {
	return func(yield func(*format.File, error) bool) {
		w := &walker{
			root: root, opt: opt, report: report, prune: newPruner(opt.Prune),
			groups: make(map[inode]int64), yield: yield,
		}
		w.walk(ctx)
	}
}

// inode identifies a file within one system.
type inode struct{ dev, ino uint64 }

type walker struct {
	root   *rootfs.Root
	opt    Options
	report *Report
	prune  *pruner
	groups map[inode]int64
	faults faults
	yield  func(*format.File, error) bool
}

// entry is one name of a directory, looked at while the directory was open.
type entry struct {
	file *format.File
	// into is the path of a directory whose contents belong to the tree, else
	// empty. The record is not ours any more when it comes to that.
	into string
}

func (w *walker) walk(ctx context.Context) {
	root, err := w.rootEntry()
	if err != nil {
		w.yield(nil, err)
		return
	}
	if !w.yield(root.file, nil) || root.into != "" && !w.directory(ctx, root.into) {
		return
	}
	w.report.Unmatched = w.prune.unmatched()
	slices.SortStableFunc(w.report.Notes, func(a, b Note) int { return format.ComparePaths(a.Path, b.Path) })
	if err := w.faults.err(); err != nil {
		w.yield(nil, err)
	}
}

func (w *walker) rootEntry() (*entry, error) {
	d, err := w.root.OpenDir("/")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return nil, err
	}
	e, err := w.look(d, "", "/", st)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, fmt.Errorf("scanning %q: its root is marked to be skipped by an xattr, %s: nothing would be left",
			w.root.Path(), strings.Join(skipXattrs, " or "))
	}
	return e, nil
}

// directory walks what is in the directory at path. Only the names of the
// directories above stay in memory; one directory is open at a time, so that the
// depth of a tree costs no descriptors.
func (w *walker) directory(ctx context.Context, path string) bool {
	entries, err := w.read(ctx, path)
	if err != nil {
		if !w.faults.denied(path, err) {
			w.yield(nil, err)
			return false
		}
		return true
	}
	for _, e := range entries {
		if !w.yield(e.file, nil) {
			return false
		}
		if e.into != "" && !w.directory(ctx, e.into) {
			return false
		}
	}
	return true
}

func (w *walker) read(ctx context.Context, path string) ([]entry, error) {
	d, err := w.root.OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Names()
	if err != nil {
		return nil, err
	}
	if w.opt.SkipCaches && isCache(d, names) {
		w.report.note(path, "the contents of the cache directory")
		return nil, nil
	}
	prefix := path
	if path != "/" {
		prefix += "/"
	}
	entries := make([]entry, 0, len(names))
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		e, err := w.name(d, name, prefix+name)
		if err != nil {
			if w.faults.denied(prefix+name, err) {
				continue
			}
			return nil, err
		}
		if e != nil {
			entries = append(entries, *e)
		}
	}
	return entries, nil
}

// name looks at one name; nil without an error is one to leave out.
func (w *walker) name(d *rootfs.Dir, name, path string) (*entry, error) {
	if w.prune.prunes(path) {
		return nil, nil
	}
	st, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	if w.opt.Output != nil && w.opt.Output(st) {
		w.report.note(path, "the output itself")
		return nil, nil
	}
	e, err := w.look(d, name, path, st)
	if e != nil && strings.HasPrefix(name, ".wh.") {
		w.faults.whiteouts = append(w.faults.whiteouts, fault{path: path})
		return nil, nil
	}
	return e, err
}

// look makes the record of what is at path.
func (w *walker) look(d *rootfs.Dir, name, path string, st rootfs.Stat) (*entry, error) {
	f := &format.File{
		Path: path, Mode: st.Mode & 0o7777, UID: st.UID, GID: st.GID,
		MTime: st.MTime, MTimeNsec: st.MTimeNsec,
	}
	mounted := st.MountRoot && !w.opt.CrossMounts
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		f.Type = format.TypeDir
	case unix.S_IFREG:
		f.Type, f.Size = format.TypeFile, st.Size
	case unix.S_IFLNK:
		f.Type = format.TypeSymlink
	default:
		if !mounted && !w.special(f, st) {
			return nil, nil
		}
	}
	if mounted {
		w.mountPoint(f)
		return &entry{file: f}, nil
	}
	keep, err := w.xattrs(d, name, f)
	if err != nil || !keep {
		return nil, err
	}
	if err := w.complete(d, name, f, st); err != nil {
		return nil, err
	}
	e := &entry{file: f}
	if f.Type == format.TypeDir && !w.prune.empties(path) {
		e.into = path
	}
	return e, nil
}

// complete fills in what only some types have, and looks whether a file can be
// read: that is for a later stage, which would find them one by one.
func (w *walker) complete(d *rootfs.Dir, name string, f *format.File, st rootfs.Stat) (err error) {
	switch f.Type {
	case format.TypeDir:
		return nil
	case format.TypeFile:
		err = d.Readable(name)
	case format.TypeSymlink:
		f.Target, err = d.Readlink(name)
	}
	if err == nil && st.Links > 1 {
		f.Hardlink = w.group(st)
	}
	return err
}

// mountPoint makes a record stand for what is below a mount: the empty
// directory, or an empty file whose own metadata the mount hides.
func (w *walker) mountPoint(f *format.File) {
	if f.Type == format.TypeDir {
		if !w.prune.empties(f.Path) { // who said so need not be told
			w.report.note(f.Path, "the contents of the mount point")
		}
		return
	}
	w.report.note(f.Path, "the file mounted over")
	*f = format.File{Path: f.Path, Type: format.TypeFile, Mode: 0o644}
}

// group numbers hard-link groups in the order in which they are met: a directory
// as a whole before those in it.
func (w *walker) group(st rootfs.Stat) int64 {
	key := inode{st.Dev, st.Ino}
	if _, ok := w.groups[key]; !ok {
		w.groups[key] = int64(len(w.groups)) + 1
	}
	return w.groups[key]
}
