package extract

import (
	"context"
	"io"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/layer"
	"chunkah/lib/metrics"
	"chunkah/lib/rootfs"
	"chunkah/lib/write"
)

// ToTar writes a tree as a tar. The tar has the same format as a layer: pax, with times in whole
// seconds. Writing it requires no privileges, so only xattrs that are instructions to overlayfs are
// lost.
func ToTar(ctx context.Context, w io.Writer, from *rootfs.Root, opt Options) (*Report, error) {
	l := &lister{from: from, groups: make(map[inode]int64), lost: make(map[string][]string)}
	if err := l.list(ctx, "/"); err != nil {
		return nil, err
	}
	l.report.Losses = sortLosses(l.lost)
	if opt.Strict && len(l.report.Losses) > 0 {
		return nil, &LossError{l.report.Losses}
	}
	contents := counted{write.NewReader(from, false, false), opt.Work}
	defer func() { _ = contents.Close() }() // opened only for reading
	if err := layer.Write(ctx, w, l.files, contents); err != nil {
		return nil, err
	}
	return &l.report, nil
}

// counted counts the bytes of the files that are written.
type counted struct {
	write.Reader
	work *metrics.Work
}

// WriteFile implements layer.Content.
func (c counted) WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error) {
	n, err := c.Reader.WriteFile(ctx, w, f)
	c.work.Did(n)
	return n, err
}

// lister makes the records of a tree.
type lister struct {
	from   *rootfs.Root
	files  []*format.File
	groups map[inode]int64 // hard-link groups
	report Report
	lost   map[string][]string
}

// list adds a directory and everything below it.
func (l *lister) list(ctx context.Context, path string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d, err := l.from.OpenDir(path)
	if err != nil {
		return err
	}
	defer d.Close() // the root is virtual, so open directories cost nothing
	if path == "/" {
		st, err := d.Stat()
		if err == nil {
			err = l.add(d, "", st)
		}
		if err != nil {
			return err
		}
	}
	names, err := d.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		st, err := d.Lstat(name)
		if err == nil {
			err = l.add(d, name, st)
		}
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = l.list(ctx, format.Join(path, name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var types = map[uint32]format.Type{
	unix.S_IFREG: format.TypeFile, unix.S_IFDIR: format.TypeDir, unix.S_IFLNK: format.TypeSymlink,
	unix.S_IFIFO: format.TypeFifo, unix.S_IFCHR: format.TypeChar, unix.S_IFBLK: format.TypeBlock,
}

// sizeOf returns the size of a regular file, and 0 for everything else.
func sizeOf(st rootfs.Stat) int64 {
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	return st.Size
}

// add adds the record for a name in a directory, or for the directory itself.
func (l *lister) add(d *rootfs.Dir, name string, st rootfs.Stat) error {
	path := d.Path()
	if name != "" {
		path = format.Join(path, name)
	}
	f := &format.File{
		Path: path, Type: types[st.Mode&unix.S_IFMT], Mode: uint16(st.Mode & 0o7777), UID: st.UID, GID: st.GID,
		Size: sizeOf(st), MTime: st.MTime, DevMajor: st.RdevMajor, DevMinor: st.RdevMinor, Stamp: st.Stamp(),
	}
	if st.Links > 1 && f.Type != format.TypeDir {
		key := inode{st.Dev, st.Ino}
		if l.groups[key] == 0 {
			l.groups[key] = int64(len(l.groups)) + 1
		} else {
			l.report.Bytes -= f.Size // counted once
		}
		f.Hardlink = l.groups[key]
	}
	if f.Type != format.TypeDir {
		l.report.Files++
		l.report.Bytes += f.Size
	}
	if f.Type == format.TypeSymlink {
		target, err := d.Readlink(name)
		if err != nil {
			return err
		}
		f.Target = target
	}
	xattrs, err := d.Xattrs(name, all)
	if err != nil {
		return err
	}
	for _, x := range xattrs {
		if ofOverlay(x.Name) {
			l.lost[lostXattr+x.Name] = append(l.lost[lostXattr+x.Name], path)
		} else {
			f.Xattrs = append(f.Xattrs, format.Xattr(x))
		}
	}
	l.files = append(l.files, f)
	return nil
}
