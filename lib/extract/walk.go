package extract

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/interrupt"
	"chunkah/lib/rootfs"
)

// A batch is part of a directory and is written by one worker. These limits, in files and bytes,
// are large enough that opening the directory does not matter, and small enough to keep all workers
// busy.
const (
	batchFiles = 64
	batchBytes = 16 << 20
)

// batch contains names in one directory, except subdirectories.
type batch struct {
	dir   string
	files []item
	bytes int64
}

// item is a file of the source.
type item struct {
	name string
	stat rootfs.Stat
}

// walk creates a directory's subdirectories, passes its other entries to the workers, and descends.
func (x *extraction) walk(ctx context.Context, dir string) error {
	x.dirs = append(x.dirs, dir)
	subdirs, err := x.read(ctx, dir)
	if err != nil {
		return err
	}
	if err := x.mkdirs(dir, subdirs); err != nil {
		return err
	}
	for _, name := range subdirs {
		if err := x.walk(ctx, format.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// read reads a directory in the source, and returns the names of its subdirectories.
func (x *extraction) read(ctx context.Context, dir string) (subdirs []string, err error) {
	d, err := x.from.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Names()
	if err != nil {
		return nil, err
	}
	b := batch{dir: dir}
	for _, name := range names {
		st, err := d.Lstat(name)
		if err != nil {
			return nil, err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			subdirs = append(subdirs, name)
			continue
		}
		if x.isLink(format.Join(dir, name), st) {
			continue
		}
		b.files = append(b.files, item{name, st})
		if b.bytes += st.Size; len(b.files) == batchFiles || b.bytes >= batchBytes {
			if err := x.send(ctx, b); err != nil {
				return nil, err
			}
			b = batch{dir: dir}
		}
	}
	return subdirs, x.send(ctx, b)
}

// isLink reports whether the path is another name of a known inode. It records such a name.
func (x *extraction) isLink(path string, st rootfs.Stat) bool {
	if st.Links < 2 {
		return false
	}
	key := inode{st.Dev, st.Ino}
	target, known := x.first[key]
	if !known {
		x.first[key] = path
		return false
	}
	x.links = append(x.links, link{path, target})
	return true
}

func (x *extraction) send(ctx context.Context, b batch) error {
	if len(b.files) == 0 {
		return nil
	}
	select {
	case x.batches <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// mkdirs creates subdirectories.
func (x *extraction) mkdirs(dir string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	d, err := x.to.OpenDir(dir)
	if err != nil {
		return x.writing(dir, err)
	}
	defer d.Close()
	for _, name := range names {
		if err := interrupt.Retry(func() error { return unix.Mkdirat(d.Fd(), name, 0o700) }); err != nil {
			return x.writing(format.Join(dir, name), err)
		}
	}
	return nil
}

// writeLinks creates the other names of inodes.
func (x *extraction) writeLinks(ctx context.Context) error {
	for _, l := range x.links {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if x.gone[l.target] {
			x.lose(lostDevice, l.path)
			continue
		}
		if err := x.link(l); err != nil {
			return x.writing(l.path, err)
		}
		x.report.Files++
	}
	return nil
}

func (x *extraction) link(l link) error {
	from, err := x.to.OpenDir(format.Parent(l.target))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := x.to.OpenDir(format.Parent(l.path))
	if err != nil {
		return err
	}
	defer to.Close()
	return interrupt.Retry(func() error { return unix.Linkat(from.Fd(), format.Base(l.target), to.Fd(), format.Base(l.path), 0) })
}

// finishDirs sets the metadata of directories. Each directory comes after the directories in it.
func (x *extraction) finishDirs(ctx context.Context) error {
	x.dest.finished = x.dirs[1:]
	for _, dir := range slices.Backward(x.dirs) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := x.finishDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) finishDir(path string) error {
	from, err := x.from.OpenDir(path)
	if err != nil {
		return err
	}
	defer from.Close()
	st, err := from.Stat()
	if err != nil {
		return err
	}
	xattrs, err := from.Xattrs("", all)
	if err != nil {
		return err
	}
	to, err := x.to.OpenDir(path)
	if err != nil {
		return x.writing(path, err)
	}
	defer to.Close()
	if path == "/" {
		if err := x.dest.unmark(); err != nil {
			return err
		}
	}
	return x.writing(path, x.restore(path, opened(to.Fd()), st, xattrs))
}

// writing adds the path and the directory to an error.
func (x *extraction) writing(path string, err error) error {
	if err == nil {
		return nil
	}
	return &WriteError{fmt.Errorf("writing %q to %q: %w", path, x.dest.name, err)}
}

// all selects all xattrs.
func all(names []string) []string { return names }
