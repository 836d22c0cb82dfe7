package image

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/rootfs"
)

// LayerEntries are a layer's entries as file records, in order.
type LayerEntries struct {
	Files filelist.List
	// Fault is the reason why records cannot express the layer. It is empty if they can.
	Fault string
	// Opaque lists the directories whose contents in lower layers are hidden by this layer. Links
	// maps paths of hard links to their targets, which are files in other layers. Files contains
	// these links as empty files. A layer with Opaque or Links has a fault.
	Opaque []string
	Links  map[string]string
}

// Entries reads the given layers of an image. An opaque directory becomes a fault, because its
// effect depends on the layers below.
func Entries(ctx context.Context, img *Image, layers []int, opt FlattenOptions) ([]LayerEntries, error) {
	opt.Sums, opt.See, opt.Records, opt.Watch = true, nil, nil, nil
	f := &flattening{tree: &Tree{root: impliedDir(0), layers: make([]layer, len(img.Layers))}, img: img, opt: opt, budget: newBudget(opt.maxBytes())}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan int, len(layers))
	for n := range layers {
		jobs <- n
	}
	close(jobs)
	all := make([]LayerEntries, len(layers))
	var workers sync.WaitGroup
	for range min(opt.threads(), len(layers)) {
		workers.Go(func() {
			var u unpacker
			defer u.close()
			for n := range jobs {
				entries, err := f.read(ctx, layers[n], &u)
				if err != nil {
					cancel(err)
					return
				}
				all[n] = f.records(layers[n], entries)
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return all, nil
}

// records converts a layer's entries.
func (f *flattening) records(layer int, entries []entry) (l LayerEntries) {
	sums := f.tree.layers[layer].sums
	firsts := make(map[string]*format.File)
	files := make([]*format.File, 0, len(entries))
	if n := f.tree.layers[layer].trailing; n > 0 {
		l.Fault = "has data after the end of its tar"
	}
	links := 0
	for _, e := range entries {
		path := "/" + e.path
		switch e.kind {
		case kindWhiteout:
			files = append(files, &format.File{Path: path, Type: format.TypeWhiteout})
			continue
		case kindOpaque:
			l.Fault = cmp.Or(l.Fault, fmt.Sprintf("%q is an opaque directory", path))
			l.Opaque = append(l.Opaque, path)
			continue
		case kindAUFS:
			l.Fault = cmp.Or(l.Fault, "contains AUFS files")
			continue
		case kindLink:
			first := firsts["/"+e.link]
			if first == nil {
				l.Fault = cmp.Or(l.Fault, fmt.Sprintf("%q is a hard link to a file in another layer", path))
				files = append(files, l.linkBelow(path, "/"+e.link))
				continue
			}
			if first.Hardlink == 0 {
				links++
				first.Hardlink = int64(links)
			}
			files = append(files, l.link(path, first, e.node))
			continue
		}
		r := record(path, e.node, sums)
		firsts[path] = r
		files = append(files, r)
	}
	slices.SortStableFunc(files, func(a, b *format.File) int {
		return cmp.Or(format.ComparePaths(a.Path, b.Path), whiteoutFirst(a)-whiteoutFirst(b))
	})
	slices.SortFunc(l.Opaque, format.ComparePaths)
	for i := 1; i < len(files); i++ {
		if files[i].Path == files[i-1].Path {
			l.Fault = cmp.Or(l.Fault, fmt.Sprintf("%q occurs twice", files[i].Path))
		}
	}
	l.Files.Append(files...)
	return l
}

// whiteoutFirst orders whiteouts before other entries for the same path, because they are applied
// first.
func whiteoutFirst(f *format.File) int {
	if f.Type == format.TypeWhiteout {
		return 0
	}
	return 1
}

// linkBelow adds a hard link to a file in another layer, and returns its record.
func (l *LayerEntries) linkBelow(path, target string) *format.File {
	if l.Links == nil {
		l.Links = make(map[string]string)
	}
	l.Links[path] = target
	return &format.File{Path: path, Type: format.TypeFile}
}

// link returns the record for an additional hard link to a file. Clients set the inode's metadata
// to the metadata of its last entry.
func (l *LayerEntries) link(path string, first *format.File, n *node) *format.File {
	r := *first
	r.Path, r.Xattrs, r.Digest = path, nil, format.Digest{}
	same := r.UID == n.uid && r.GID == n.gid && (r.Type == format.TypeSymlink || r.Mode == n.permissions() && r.MTime == n.mtime)
	if format.ComparePaths(path, first.Path) < 0 {
		l.Fault = cmp.Or(l.Fault, fmt.Sprintf("the hard link %q comes before its target, %q", path, first.Path))
	}
	if !same || n.more != nil && len(n.more.xattrs) > 0 {
		l.Fault = cmp.Or(l.Fault, fmt.Sprintf("the metadata of the hard link %q differs from the metadata of %q", path, first.Path))
	}
	return &r
}

// record returns the record for an entry.
func record(path string, n *node, sums [][32]byte) *format.File {
	f := &format.File{
		Path: path, Mode: n.permissions(), UID: n.uid, GID: n.gid, MTime: n.mtime, Xattrs: records(n.more),
	}
	switch n.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		f.Type = format.TypeDir
	case unix.S_IFLNK:
		f.Type, f.Target = format.TypeSymlink, n.more.target
	case unix.S_IFIFO:
		f.Type = format.TypeFifo
	case unix.S_IFCHR:
		f.Type, f.DevMajor, f.DevMinor = format.TypeChar, n.more.major, n.more.minor
	case unix.S_IFBLK:
		f.Type, f.DevMajor, f.DevMinor = format.TypeBlock, n.more.major, n.more.minor
	default:
		f.Type, f.Size, f.Digest = format.TypeFile, n.size, format.EmptyDigest
		switch {
		case n.size > 0 && sums == nil:
			f.Digest = format.Digest{}
		case n.size > 0:
			f.Digest = format.NewDigest(sums[n.offset])
		}
	}
	return f
}

func records(m *more) []format.Xattr {
	if m == nil || len(m.xattrs) == 0 {
		return nil
	}
	list := make([]format.Xattr, len(m.xattrs))
	for i, x := range m.xattrs {
		list[i] = format.Xattr(rootfs.Xattr(x))
	}
	return list
}
