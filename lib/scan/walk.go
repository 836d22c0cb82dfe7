package scan

import (
	"context"
	"iter"
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
			ctx: ctx, root: root, opt: opt, report: report, prune: newPruner(opt.Prune),
			groups: make(map[inode]int64), yield: yield,
		}
		w.walk()
	}
}

// inode identifies a file within one system.
type inode struct{ dev, ino uint64 }

type walker struct {
	ctx    context.Context
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
	// into is set for a directory whose contents belong to the tree.
	into bool
}

func (w *walker) walk() {
	root, into, err := w.rootEntry()
	if err != nil {
		w.yield(nil, err)
		return
	}
	if !w.yield(root, nil) || into && !w.directory("/") {
		return
	}
	w.report.Unmatched = w.prune.unmatched()
	if err := w.faults.err(); err != nil {
		w.yield(nil, err)
	}
}

func (w *walker) rootEntry() (f *format.File, into bool, err error) {
	d, err := w.root.OpenDir("/")
	if err != nil {
		return nil, false, err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return nil, false, err
	}
	st.MountRoot = false // the root may be one
	e, err := w.look(d, "", "/", st)
	if err != nil || e == nil {
		return &format.File{Path: "/", Type: format.TypeDir, Mode: st.Mode & 0o7777, UID: st.UID, GID: st.GID}, false, err
	}
	return e.file, e.into, nil
}

// directory walks what is in the directory at path. Only the names of the
// directories above stay in memory; one directory is open at a time, so that the
// depth of a tree costs no descriptors.
func (w *walker) directory(path string) bool {
	entries, err := w.read(path)
	if err != nil {
		if !w.faults.add(path, err) {
			w.yield(nil, err)
			return false
		}
		return true
	}
	for _, e := range entries {
		if !w.yield(e.file, nil) {
			return false
		}
		if e.into && !w.directory(e.file.Path) {
			return false
		}
	}
	return true
}

func (w *walker) read(path string) ([]entry, error) {
	if err := context.Cause(w.ctx); err != nil {
		return nil, err
	}
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
		e, err := w.name(d, name, prefix+name)
		if err != nil {
			if w.faults.add(prefix+name, err) {
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
	if w.prune.itself(path) {
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
	if strings.HasPrefix(name, ".wh.") {
		w.faults.whiteout(path)
		return nil, nil
	}
	return w.look(d, name, path, st)
}

// look makes the record of what is at path.
func (w *walker) look(d *rootfs.Dir, name, path string, st rootfs.Stat) (*entry, error) {
	f := &format.File{
		Path: path, Mode: st.Mode & 0o7777, UID: st.UID, GID: st.GID,
		MTime: st.MTime, MTimeNsec: st.MTimeNsec,
	}
	kind := st.Mode & unix.S_IFMT
	switch kind {
	case unix.S_IFDIR:
		f.Type = format.TypeDir
	case unix.S_IFREG:
		f.Type, f.Size = format.TypeFile, st.Size
	case unix.S_IFLNK:
		f.Type = format.TypeSymlink
	default:
		if st.MountRoot && !w.opt.CrossMounts {
			break // a device or socket mounted over a file: see below
		}
		if !w.special(f, kind, st) {
			return nil, nil
		}
	}
	if st.MountRoot && !w.opt.CrossMounts {
		if !w.prune.contents(path) {
			w.mountPoint(f)
		}
		return &entry{file: f}, nil
	}
	attrs, err := d.Xattrs(name)
	if err != nil {
		return nil, err
	}
	if !w.keepXattrs(f, attrs) {
		return nil, nil
	}
	if f.Type == format.TypeSymlink {
		if f.Target, err = d.Readlink(name); err != nil {
			return nil, err
		}
	}
	if f.Type != format.TypeDir && st.Links > 1 {
		f.Hardlink = w.group(st)
	}
	return &entry{file: f, into: f.Type == format.TypeDir && !w.prune.contents(path)}, nil
}

// mountPoint makes a record stand for what is below a mount: the empty
// directory, or an empty file whose own metadata the mount hides.
func (w *walker) mountPoint(f *format.File) {
	if f.Type == format.TypeDir {
		w.report.note(f.Path, "the contents of the mount point")
		return
	}
	w.report.note(f.Path, "the file mounted over")
	*f = format.File{Path: f.Path, Type: format.TypeFile, Mode: 0o644}
}

// group numbers hard-link groups in the order of the walk.
func (w *walker) group(st rootfs.Stat) int64 {
	key := inode{st.Dev, st.Ino}
	if _, ok := w.groups[key]; !ok {
		w.groups[key] = int64(len(w.groups)) + 1
	}
	return w.groups[key]
}
