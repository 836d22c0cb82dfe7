package inspect

import (
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/lib/image"
	"chunkah/lib/rootfs"
)

// Node is a path of the image's file system, as a walk comes by it.
type Node struct {
	Path  string
	Depth int // of the root 0
	Dir   bool
	// Bytes are those of a file's contents; of a directory those of all that is in it, an inode of
	// several names with the first one alone.
	Bytes int64
	// Target is that of a symlink.
	Target string
	// Layer is the last one that had something to say of it.
	Layer int
}

// Walk lists the file system, a directory before what is in it, in the order of a scan, down to so
// many directories below the root; less than 0 is all. It is for an image that was read with its
// tree.
func (in *Image) Walk(depth int) ([]Node, error) {
	w := &walk{tree: in.tree, most: depth, seen: map[uint64]bool{}}
	_, err := w.walk("/", 0)
	return w.nodes, err
}

type walk struct {
	tree  *image.Tree
	most  int
	seen  map[uint64]bool // inodes of several names
	nodes []Node
}

// walk adds what is at path and returns its bytes.
func (w *walk) walk(path string, depth int) (int64, error) {
	st, err := w.tree.Stat(path)
	if err != nil {
		return 0, err
	}
	n := Node{Path: path, Depth: depth}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		n.Dir = true
	case unix.S_IFREG:
		n.Bytes = w.once(st)
	case unix.S_IFLNK:
		if n.Target, err = w.tree.Readlink(path); err != nil {
			return 0, err
		}
	}
	if n.Layer, err = w.tree.Layer(path); err != nil {
		return 0, err
	}
	at := len(w.nodes)
	shown := w.most < 0 || depth <= w.most
	if shown {
		w.nodes = append(w.nodes, n)
	}
	if !n.Dir {
		return n.Bytes, nil
	}
	names, err := w.tree.Names(path)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		bytes, err := w.walk(strings.TrimSuffix(path, "/")+"/"+name, depth+1)
		if err != nil {
			return 0, err
		}
		n.Bytes += bytes
	}
	if shown {
		w.nodes[at].Bytes = n.Bytes
	}
	return n.Bytes, nil
}

// once is the size of a file, the first time that one of its names comes by.
func (w *walk) once(st rootfs.Stat) int64 {
	if st.Links > 1 {
		if w.seen[st.Ino] {
			return 0
		}
		w.seen[st.Ino] = true
	}
	return st.Size
}
