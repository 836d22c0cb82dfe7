package patch

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/layer"
)

// index contains all entries of the previous image and all records of the root, by path.
type index struct {
	root []*format.File
	// paths are all paths, in the order of a walk.
	paths []pathEntries
	// entries are the entries of all layers, sorted by path and, per path, from the bottom layer
	// up.
	entries []entry
	inodes  []inode
	// bytes contains the size of each layer's entries without directories. units contains the
	// number of files in each layer. An inode with several hard links counts once.
	bytes     []int64
	units     []int
	rootBytes int64
	flat      flat
}

// pathEntries are the entries of all layers at one path.
type pathEntries struct {
	path        string
	first, last int32 // the indexes of the entries: first <= i < last
	root        int32 // the record in the root, -1 if there is none
	parent      int32 // the index of the nearest path above, -1 at the top
}

// entry is one entry of a layer.
type entry struct {
	bytes int64 // size in the tar; 0 for a directory
	size  int64 // of the contents
	layer int32
	inode int32 // the inode of a hard link, -1 if the file has one name
	kind  format.Type
	first bool // the first name of the inode
	same  bool // equal to the root's record
}

// inode is a file with several names (hard links) in a layer.
type inode struct {
	first string  // the first name
	names int32   // the number of names
	roots []int32 // the root's records at these paths, -1 for a missing record
	same  bool    // exactly these names share an inode in the root
}

// item is one file in a run: a record of the root or an entry of a layer.
type item struct {
	file  *format.File // of a layer: valid until the next item
	layer int32        // -1 for the root
	at    int32        // index in its layer or in the root
}

func newIndex(root []*format.File, layers []Layer, fits func(now, was *format.File) bool) *index {
	x := &index{
		root: root, bytes: make([]int64, len(layers)), units: make([]int, len(layers)),
	}
	entries := 0
	for _, l := range layers {
		entries += l.Files.Len()
	}
	x.paths, x.entries = make([]pathEntries, 0, max(len(root), entries)), make([]entry, 0, entries)
	x.addPaths(merged(root, layers), fits)
	x.compareInodes()
	for _, f := range root {
		x.rootBytes += layer.EntrySize(f)
	}
	return x
}

// run is a sorted list of files to merge with other runs: the root or a layer.
type run struct {
	root  []*format.File   // the files of the root that follow
	files *filelist.Reader // the files of a layer that follow, nil for the root
	item                   // the current file
}

// next moves on to the next file. It returns false at the end of the run.
func (r *run) next() bool {
	r.at++
	if r.files != nil {
		r.file = r.files.Next()
		return r.file != nil
	}
	if len(r.root) == 0 {
		return false
	}
	r.file, r.root = r.root[0], r.root[1:]
	return true
}

// runs is a heap of the runs that still contain files.
type runs []*run

func (r runs) Len() int      { return len(r) }
func (r runs) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r *runs) Push(any)     {} // nothing is added
func (r *runs) Pop() any     { *r = (*r)[:len(*r)-1]; return nil }
func (r runs) Less(i, j int) bool {
	return cmp.Or(format.ComparePaths(r[i].file.Path, r[j].file.Path), int(r[i].layer-r[j].layer)) < 0
}

// merged yields all files in path order. For each path, the root's record comes first, then the
// layers' entries from the bottom up. The input lists must be sorted by path.
func merged(root []*format.File, layers []Layer) iter.Seq[item] {
	return func(yield func(item) bool) {
		var all runs
		add := func(r *run) {
			if r.next() {
				all = append(all, r)
			}
		}
		add(&run{root: root, item: item{layer: -1, at: -1}})
		for i, l := range layers {
			add(&run{files: l.Files.Reader(), item: item{layer: int32(i), at: -1}})
		}
		heap.Init(&all)
		for len(all) > 0 {
			if !yield(all[0].item) {
				return
			}
			if all[0].next() {
				heap.Fix(&all, 0)
			} else {
				heap.Remove(&all, 0)
			}
		}
	}
}

// addPaths adds sorted items to the index, and compares the entries with the root's records.
func (x *index) addPaths(items iter.Seq[item], fits func(now, was *format.File) bool) {
	inodes := make(map[[2]int64]int32)
	var above []int32
	for it := range items {
		path := it.file.Path
		if n := len(x.paths); n == 0 || x.paths[n-1].path != path {
			for len(above) > 0 && !format.IsBelow(x.paths[above[len(above)-1]].path, path) {
				above = above[:len(above)-1]
			}
			s := pathEntries{path: path, first: int32(len(x.entries)), last: int32(len(x.entries)), root: -1, parent: -1}
			if len(above) > 0 {
				s.parent = above[len(above)-1]
			}
			above = append(above, int32(n))
			x.paths = append(x.paths, s)
		}
		s := &x.paths[len(x.paths)-1]
		if it.layer < 0 {
			s.root = it.at
			continue
		}
		e := x.entry(it, s.root, inodes)
		if s.root >= 0 {
			now := x.root[s.root]
			e.same = (!e.first || same(now, it.file)) && (fits == nil || fits(now, it.file))
		}
		x.entries = append(x.entries, e)
		s.last++
	}
}

// entry creates the entry for an item and adds it to its inode.
func (x *index) entry(it item, root int32, inodes map[[2]int64]int32) entry {
	e := entry{size: it.file.Size, layer: it.layer, inode: -1, kind: it.file.Type, first: true}
	if f := it.file; f.Hardlink != 0 {
		key := [2]int64{int64(it.layer), f.Hardlink}
		n, known := inodes[key]
		if !known {
			n = int32(len(x.inodes))
			inodes[key] = n
			x.inodes = append(x.inodes, inode{first: f.Path})
		}
		e.inode, e.first = n, !known
		x.inodes[n].names++
		x.inodes[n].roots = append(x.inodes[n].roots, root)
	}
	switch {
	case e.isDirectory():
		return e
	case e.first:
		e.bytes = layer.EntrySize(it.file)
		x.units[it.layer]++
	default:
		e.bytes = layer.LinkSize(it.file, x.inodes[e.inode].first)
	}
	x.bytes[it.layer] += e.bytes
	return e
}

// compareInodes finds out which entries differ from the records of the root because they share
// their inode with other paths.
func (x *index) compareInodes() {
	names := x.rootInodes()
	for i := range x.inodes {
		n := &x.inodes[i]
		first := n.roots[0]
		if n.names == 1 || first < 0 {
			continue
		}
		n.same = slices.Equal(names[x.root[first].Hardlink], n.roots) && x.root[first].Hardlink != 0
	}
	for i := range x.paths {
		s := &x.paths[i]
		if s.root < 0 {
			continue
		}
		now := x.root[s.root]
		linked := len(names[now.Hardlink]) > 1
		for j := s.first; j < s.last; j++ {
			e := &x.entries[j]
			if e.inode >= 0 && x.inodes[e.inode].names == 1 {
				e.inode = -1 // the other hard links are in other layers
			}
			if e.inode >= 0 && !x.inodes[e.inode].same || linked && e.inode < 0 {
				e.same = false
			}
		}
	}
	x.joinInodes()
}

// rootInodes returns, for each inode with several names, the root's records.
func (x *index) rootInodes() map[int64][]int32 {
	names := make(map[int64][]int32)
	for i, f := range x.root {
		if f.Hardlink != 0 {
			names[f.Hardlink] = append(names[f.Hardlink], int32(i))
		}
	}
	return names
}

// joinInodes sets same for all hard links to an inode or for none of them.
func (x *index) joinInodes() {
	for i := range x.entries {
		if e := &x.entries[i]; e.inode >= 0 && !e.same {
			x.inodes[e.inode].same = false
		}
	}
	for i := range x.entries {
		if e := &x.entries[i]; e.inode >= 0 {
			e.same = x.inodes[e.inode].same
		}
	}
}

// same reports whether an entry has the attributes and contents of a record. Additional names of an
// inode have the same attributes and contents as the first name.
func same(now, was *format.File) bool {
	return sameAttributes(now, was) && (now.Type != format.TypeFile || now.Size >= 0 && now.Digest.Known() && now.Digest == was.Digest)
}

// sameAttributes compares everything except times and contents. It ignores xattrs without a value,
// because clients do not read them from layers.
func sameAttributes(a, b *format.File) bool {
	return a.Type == b.Type && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Size == b.Size &&
		a.Target == b.Target && a.DevMajor == b.DevMajor && a.DevMinor == b.DevMinor && sameXattrs(a.Xattrs, b.Xattrs)
}

func sameXattrs(a, b []format.Xattr) bool {
	for {
		for len(a) > 0 && len(a[0].Value) == 0 {
			a = a[1:]
		}
		for len(b) > 0 && len(b[0].Value) == 0 {
			b = b[1:]
		}
		if len(a) == 0 || len(b) == 0 {
			return len(a) == len(b)
		}
		if a[0].Name != b[0].Name || string(a[0].Value) != string(b[0].Value) {
			return false
		}
		a, b = a[1:], b[1:]
	}
}
