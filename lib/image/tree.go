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

// Tree is the file system of one or more images. It implements rootfs.Tree. It does not change
// after Flatten has returned it.
type Tree struct {
	root   *node
	last   atomic.Pointer[place] // the directory of the last lookup
	layers []layer               // bottom up
	bytes  int64                 // size of regular files, with hard links counted once
	// gone contains the paths that Gone returns.
	gone []string
	// Notes describe points on which runtimes disagree.
	Notes []string
}

// layer is the part of a layer that the tree needs.
type layer struct {
	unpacked int64               // bytes in the layer's tar
	contents io.ReaderAt         // nodes contain offsets in it
	sums     [][sha256.Size]byte // stored instead of contents; nodes contain indexes into it
	// checks contains the hashes of contents that are read in place and could change, sorted by
	// offset.
	checks  []check
	closers []io.Closer
	// trailing is the number of bytes after the end of the tar, which clients read only for the
	// diffID. It is 0 if these bytes are all zero.
	trailing int64
}

// check is the hash of a file's contents when its layer was verified.
type check struct {
	offset int64
	sum    [sha256.Size]byte
}

// node is an inode. Its size must not exceed 64 bytes, because the tree contains one node per file.
// Fields that only a few files need are in the struct more.
type node struct {
	mode     uint32 // st_mode
	uid, gid uint32
	nsec     int32
	links    uint32 // number of names
	ino      uint32
	// data is the layer that contains the contents. from is the last layer that changed the inode.
	data, from uint16
	stored     bool // offset is the number of the file (see Store)
	relinked   bool // a hard link's entry changed the metadata of a stored file
	mtime      int64
	size       int64
	offset     int64 // offset of the contents
	more       *more
}

// more contains the fields for directories, symlinks, devices and files with xattrs.
type more struct {
	dir          *dir
	target       string
	major, minor uint32
	xattrs       []rootfs.Xattr
}

// dir contains the entries of a directory. It is a map while layers are applied. Afterwards, all
// names are in one sorted string, which takes less than half as much memory.
type dir struct {
	byName map[string]*node
	names  string
	ends   []uint32 // end of each name in names
	nodes  []*node
}

// name returns the name at index i.
func (d *dir) name(i int) string {
	start := uint32(0)
	if i > 0 {
		start = d.ends[i-1]
	}
	return d.names[start:d.ends[i]]
}

// find returns the node for a name, or nil if the name does not exist.
func (d *dir) find(name string) *node {
	i, found := sort.Find(len(d.ends), func(i int) int { return strings.Compare(name, d.name(i)) })
	if !found {
		return nil
	}
	return d.nodes[i]
}

// seal converts the map to sorted lists.
func (d *dir) seal() {
	names := slices.Sorted(maps.Keys(d.byName))
	d.names = strings.Join(names, "")
	d.ends, d.nodes = make([]uint32, len(names)), make([]*node, len(names))
	end := uint32(0) // fits into 32 bits, because maxMetadata limits all names together
	for i, name := range names {
		end += uint32(len(name))
		d.ends[i], d.nodes[i] = end, d.byName[name]
	}
	d.byName = nil
}

func (n *node) isDir() bool     { return n.mode&unix.S_IFMT == unix.S_IFDIR }
func (n *node) isSymlink() bool { return n.mode&unix.S_IFMT == unix.S_IFLNK }

// permissions returns the mode without the type.
func (n *node) permissions() uint16 { return uint16(n.mode & 0o7777) }

// Stat implements rootfs.Tree. The device is 0, which no file system uses.
func (t *Tree) Stat(path string) (rootfs.Stat, error) {
	n, err := t.find(path)
	if err != nil {
		return rootfs.Stat{}, err
	}
	return n.stat(), nil
}

func (n *node) stat() rootfs.Stat {
	st := rootfs.Stat{
		Mode: n.mode, UID: n.uid, GID: n.gid, Size: n.size, MTime: n.mtime, MTimeNsec: n.nsec,
		Ino: uint64(n.ino), Links: n.links,
	}
	if n.more != nil {
		st.RdevMajor, st.RdevMinor = n.more.major, n.more.minor
	}
	return st
}

// Names implements rootfs.Tree.
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

// Readlink implements rootfs.Tree.
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

// Xattrs implements rootfs.Tree.
func (t *Tree) Xattrs(path string) ([]rootfs.Xattr, error) {
	n, err := t.find(path)
	if err != nil || n.more == nil {
		return nil, err
	}
	return n.more.xattrs, nil
}

// Open implements rootfs.Tree.
func (t *Tree) Open(path string) (io.ReaderAt, error) {
	n, err := t.find(path)
	if err != nil {
		return nil, err
	}
	if n.mode&unix.S_IFMT != unix.S_IFREG {
		return nil, rootfs.ErrNotRegular
	}
	switch {
	case n.stored:
		return nil, errors.New("the contents are stored outside the image")
	case t.layers[n.data].sums != nil:
		return nil, errors.New("only the checksum of the file is known")
	}
	l := &t.layers[n.data]
	c := contents{l.contents, n.offset, n.size}
	i, found := slices.BinarySearchFunc(l.checks, n.offset, func(c check, offset int64) int { return cmp.Compare(c.offset, offset) })
	if !found || n.size == 0 {
		return c, nil
	}
	return &checked{contents: c, hash: sha256.New(), want: l.checks[i].sum}, nil
}

// Sum returns the SHA-256 of a regular file if FlattenOptions.Sums was set.
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

// contents reads the contents of a regular file.
type contents struct {
	in           io.ReaderAt
	offset, size int64
}

// ReadAt implements io.ReaderAt. An early end means that the image has changed since it was read.
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

// Layer returns the layer of the file at path, which is the last layer that set its metadata or
// added a name to its inode. A directory without an entry belongs to the first layer that contains
// a file in the directory.
func (t *Tree) Layer(path string) (int, error) {
	n, err := t.find(path)
	if err != nil {
		return 0, err
	}
	return int(n.from), nil
}

// Bytes returns the total size of all regular files. Hard links count once.
func (t *Tree) Bytes() int64 { return t.bytes }

// Unpacked returns the size of a layer's tar.
func (t *Tree) Unpacked(layer int) int64 { return t.layers[layer].unpacked }

// Gone returns the sorted paths that exist in the first FlattenOptions.Keep layers but not in the
// tree. Files in a removed directory are not listed.
func (t *Tree) Gone() []string { return t.gone }

// Close removes the spools. Contents cannot be read afterwards.
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

// place is a directory and its path. The path of the root is "".
type place struct {
	path string
	node *node
}

// find returns the node at a path. Its errors do not contain the path, because callers add it. If
// possible, it starts at the directory of the last lookup. In a deep tree, descending from the root
// for every name would take most of the time.
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

// seal sorts all directories, numbers the inodes and counts their hard links. most is the largest
// number of bytes for all names, each with its path, target and xattrs.
func (t *Tree) seal(most int64) error {
	last, left := uint32(0), most
	var walk func(n *node, path int) error
	walk = func(n *node, path int) error {
		if n.links++; n.links == 1 {
			last++
			n.ino = last
			if n.mode&unix.S_IFMT == unix.S_IFREG {
				t.bytes += n.size
			}
		}
		if left -= int64(path) + n.texts(left); left < 0 {
			return fmt.Errorf("names and xattrs are larger than %d bytes in total: this looks like an attack", most)
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

// texts returns the size of a node's target and xattrs, in bytes. It stops counting once it exceeds
// most.
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
