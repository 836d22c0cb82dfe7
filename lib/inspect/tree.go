package inspect

import (
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/lib/image"
	"chunkah/lib/rootfs"
)

// Node is a path in the image's file system, as returned by Walk.
type Node struct {
	Path  string
	Depth int // 0 for the root
	Dir   bool
	// Bytes is the size of a file, or of everything in a directory. An inode with several names
	// counts only with its first name.
	Bytes int64
	// Target is the target of a symlink.
	Target string
	// Layer is the last layer that contains an entry for this path.
	Layer int
}

// Walk lists the file system in the order of a scan, each directory before its contents. depth
// limits the levels below the root. If it is negative, everything is listed. The image must have
// been read with Options.Tree.
func (in *Image) Walk(depth int) ([]Node, error) {
	w := &walk{tree: in.tree, most: depth, seen: map[uint64]bool{}}
	_, err := w.walk("/", 0)
	return w.nodes, err
}

type walk struct {
	tree  *image.Tree
	most  int
	seen  map[uint64]bool // inodes with several names
	nodes []Node
}

// walk adds everything at path and returns its size in bytes.
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

// once returns the size of a file when its first name is visited, and then 0.
func (w *walk) once(st rootfs.Stat) int64 {
	if st.Links > 1 {
		if w.seen[st.Ino] {
			return 0
		}
		w.seen[st.Ino] = true
	}
	return st.Size
}
