package image

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"chunkah/lib/rootfs"
)

// Tree is the file system of one or more images. It implements rootfs.Source, and
// does not change once Flatten has returned it.
type Tree struct {
	root   *node
	last   atomic.Pointer[place] // that find was in
	layers []layer               // bottom up
	// gone are the paths that Gone returns.
	gone []string
	// Notes say what runtimes do not agree on.
	Notes []string
}

// layer is a layer, as the tree needs it.
type layer struct {
	unpacked int64               // bytes of its tar
	contents io.ReaderAt         // what nodes have offsets in
	sums     [][sha256.Size]byte // or indexes, in place of contents
	// checks are of contents that are read in place, where they can change: by offset.
	checks  []check
	closers []io.Closer
	// trailing is how many bytes follow the end of its tar, after which clients read
	// for the diffID alone; 0 where all of them are zeros.
	trailing int64
}

// check is what contents were when the digest of their layer was compared.
type check struct {
	offset int64
	sum    [sha256.Size]byte
}

// node is an inode. There are as many as files, so that it is no larger than 64
// bytes, and what few of them have is in more.
type node struct {
	mode     uint32 // st_mode
	uid, gid uint32
	nsec     int32
	links    uint32 // names
	ino      uint32
	// data and from are layers: the one with the contents, and the last one that
	// had something to say of the inode.
	data, from uint16
	mtime      int64
	size       int64
	offset     int64 // of the contents
	more       *more
}

// more is what directories, symlinks, devices and files with xattrs have.
type more struct {
	dir          *dir
	target       string
	major, minor uint32
	xattrs       []rootfs.Xattr
}

// dir is what a directory holds: a map as long as layers are applied. Then all names
// are one text, in their order, which takes less than half of the memory.
type dir struct {
	byName map[string]*node
	names  string
	ends   []uint32 // of each name in names
	nodes  []*node
}

// name is the name at i.
func (d *dir) name(i int) string {
	start := uint32(0)
	if i > 0 {
		start = d.ends[i-1]
	}
	return d.names[start:d.ends[i]]
}

// find finds a name, nil where it is not there.
func (d *dir) find(name string) *node {
	i, found := sort.Find(len(d.ends), func(i int) int { return strings.Compare(name, d.name(i)) })
	if !found {
		return nil
	}
	return d.nodes[i]
}

// seal makes lists of the map.
func (d *dir) seal() {
	names := slices.Sorted(maps.Keys(d.byName))
	d.names = strings.Join(names, "")
	d.ends, d.nodes = make([]uint32, len(names)), make([]*node, len(names))
	end := uint32(0) // fits: maxMetadata bounds all names together
	for i, name := range names {
		end += uint32(len(name))
		d.ends[i], d.nodes[i] = end, d.byName[name]
	}
	d.byName = nil
}

func (n *node) isDir() bool     { return n.mode&unix.S_IFMT == unix.S_IFDIR }
func (n *node) isSymlink() bool { return n.mode&unix.S_IFMT == unix.S_IFLNK }

// Stat implements rootfs.Source. The device is 0, which no file system has.
func (t *Tree) Stat(path string) (rootfs.Stat, error) {
	n, err := t.find(path)
	if err != nil {
		return rootfs.Stat{}, err
	}
	st := rootfs.Stat{
		Mode: n.mode, UID: n.uid, GID: n.gid, Size: n.size, MTime: n.mtime, MTimeNsec: n.nsec,
		Ino: uint64(n.ino), Links: n.links,
	}
	if n.more != nil {
		st.RdevMajor, st.RdevMinor = n.more.major, n.more.minor
	}
	return st, nil
}

// Names implements rootfs.Source.
func (t *Tree) Names(path string) ([]string, error) {
	n, err := t.find(path)
	if err != nil {
		return nil, err
	}
	if !n.isDir() {
		return nil, unix.ENOTDIR
	}
	d := n.more.dir
	names := make([]string, len(d.ends))
	for i := range names {
		names[i] = d.name(i)
	}
	return names, nil
}

// Readlink implements rootfs.Source.
func (t *Tree) Readlink(path string) (string, error) {
	n, err := t.find(path)
	if err != nil {
		return "", err
	}
	if !n.isSymlink() {
		return "", unix.EINVAL
	}
	return n.more.target, nil
}

// Xattrs implements rootfs.Source.
func (t *Tree) Xattrs(path string) ([]rootfs.Xattr, error) {
	n, err := t.find(path)
	if err != nil || n.more == nil {
		return nil, err
	}
	return n.more.xattrs, nil
}

// Open implements rootfs.Source.
func (t *Tree) Open(path string) (io.ReaderAt, error) {
	n, err := t.find(path)
	if err != nil {
		return nil, err
	}
	if n.mode&unix.S_IFMT != unix.S_IFREG {
		return nil, rootfs.ErrNotRegular
	}
	if t.layers[n.data].sums != nil {
		return nil, errors.New("only its sum is known")
	}
	l := &t.layers[n.data]
	c := contents{l.contents, n.offset, n.size}
	i, found := slices.BinarySearchFunc(l.checks, n.offset, func(c check, offset int64) int { return cmp.Compare(c.offset, offset) })
	if !found || n.size == 0 {
		return c, nil
	}
	return &checked{contents: c, hash: sha256.New(), want: l.checks[i].sum}, nil
}

// Sum is the SHA-256 of a regular file, where FlattenOptions.Sums asked for it.
func (t *Tree) Sum(path string) ([sha256.Size]byte, error) {
	n, err := t.find(path)
	if err == nil && n.mode&unix.S_IFMT != unix.S_IFREG {
		err = rootfs.ErrNotRegular
	}
	if err != nil || n.size == 0 {
		return sha256.Sum256(nil), err
	}
	return t.layers[n.data].sums[n.offset], nil
}

// contents is what a regular file holds.
type contents struct {
	in           io.ReaderAt
	offset, size int64
}

// ReadAt reads as io.ReaderAt. An end that comes early is a fault of what the tree
// was made from, which has changed.
func (c contents) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= c.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > c.size-off
	if short {
		p = p[:c.size-off]
	}
	n, err := c.in.ReadAt(p, c.offset+off)
	switch {
	case n < len(p) && (err == nil || errors.Is(err, io.EOF)):
		err = io.ErrUnexpectedEOF
	case n == len(p) && short:
		err = io.EOF
	case n == len(p):
		err = nil
	}
	return n, err
}

// Layer tells which layer what is at path comes from: the last one that set its
// metadata or gave its inode another name. A directory that no layer has an entry
// for comes from the first that has something in it.
func (t *Tree) Layer(path string) (int, error) {
	n, err := t.find(path)
	if err != nil {
		return 0, err
	}
	return int(n.from), nil
}

// Unpacked is the number of bytes of a layer's tar.
func (t *Tree) Unpacked(layer int) int64 { return t.layers[layer].unpacked }

// Gone returns the paths, in order, that the kept layers of Options.Keep have and
// the tree has not. Of a directory that is gone what was in it is not listed.
func (t *Tree) Gone() []string { return t.gone }

// Close removes what was spooled. Nothing can be read after it.
func (t *Tree) Close() error {
	var errs []error
	for i := range t.layers {
		for _, c := range t.layers[i].closers {
			errs = append(errs, c.Close())
		}
		t.layers[i].closers = nil
	}
	return errors.Join(errs...)
}

// place is a directory with its path, "" for the root.
type place struct {
	path string
	node *node
}

// find descends to a path. Its errors do not repeat it: who asks names it. It starts at
// the directory that the path before was in, if it can: in a deep tree, going down from
// the root for each name would take most of the time.
func (t *Tree) find(path string) (*node, error) {
	start := t.last.Load()
	if start == nil || !strings.HasPrefix(path, start.path+"/") {
		start = &place{node: t.root}
	}
	n, in := start.node, *start
	for rest := strings.TrimPrefix(path[len(start.path):], "/"); rest != ""; {
		if !n.isDir() {
			return nil, unix.ENOTDIR
		}
		in = place{strings.TrimSuffix(path[:len(path)-len(rest)], "/"), n}
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if n = n.more.dir.find(name); n == nil {
			return nil, unix.ENOENT
		}
	}
	if len(in.path) > len(start.path) {
		t.last.Store(&place{in.path, in.node})
	}
	return n, nil
}

// seal sorts all directories, counts the names of all inodes and numbers them. All names
// may take so many bytes, each with its path, target and xattrs.
func (t *Tree) seal(most int64) error {
	last, left := uint32(0), most
	var walk func(n *node, path int) error
	walk = func(n *node, path int) error {
		if n.links++; n.links == 1 {
			last++
			n.ino = last
		}
		if left -= int64(path) + n.texts(left); left < 0 {
			return fmt.Errorf("its names, each with its xattrs, take more than %d bytes: it is made to do harm", most)
		}
		if !n.isDir() {
			return nil
		}
		d := n.more.dir
		d.seal()
		for i, child := range d.nodes {
			if err := walk(child, path+1+len(d.name(i))); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(t.root, 0)
}

// texts is what target and xattrs of a node take, in bytes; no more than a bit above most
// is counted.
func (n *node) texts(most int64) int64 {
	if n.more == nil {
		return 0
	}
	size := int64(len(n.more.target))
	for _, x := range n.more.xattrs {
		if size > most {
			break
		}
		size += int64(len(x.Name) + len(x.Value))
	}
	return size
}
