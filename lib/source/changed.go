package source

import (
	"errors"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/rootfs"
)

// changed shows the difference between an image and its lowest layers: files in the layers above,
// with their parent directories, and, as in overlayfs, a character device 0, 0 for each deleted
// file. It is a rootfs.Tree.
type changed struct {
	tree  *image.Tree
	names map[string][]string // by visible directory: names of its visible files
	gone  map[string]bool
}

// newChanged finds the difference from the lowest layers; keep is their number.
func newChanged(tree *image.Tree, keep int) (*changed, error) {
	c := &changed{tree: tree, names: map[string][]string{"/": nil}, gone: map[string]bool{}}
	for _, path := range tree.Gone() {
		c.gone[path] = true
		c.show(path)
	}
	groups, err := c.walk("/", keep)
	if err != nil {
		return nil, err
	}
	// All hard links to an inode must be in one layer. If one of them is shown, all are shown.
	for _, g := range groups {
		if g.shown {
			for _, path := range g.paths {
				c.show(path)
			}
		}
	}
	for dir, names := range c.names {
		slices.Sort(names)
		c.names[dir] = slices.Compact(names)
	}
	return c, nil
}

// group contains the paths of an inode with several hard links.
type group struct {
	paths []string
	shown bool
}

// walk shows files in layers that are not kept, and returns the inodes with several names, keyed by
// inode number.
func (c *changed) walk(dir string, keep int) (map[uint64]*group, error) {
	groups := map[uint64]*group{}
	for todo := []string{dir}; len(todo) > 0; {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		names, err := c.tree.Names(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			path := format.Join(dir, name)
			st, err := c.tree.Stat(path)
			if err != nil {
				return nil, err
			}
			layer, err := c.tree.Layer(path)
			if err != nil {
				return nil, err
			}
			if isDir(st) {
				todo = append(todo, path)
			} else if st.Links > 1 {
				g := groups[st.Ino]
				if g == nil {
					g = &group{}
					groups[st.Ino] = g
				}
				g.paths = append(g.paths, path)
				g.shown = g.shown || layer >= keep
			}
			if layer >= keep {
				c.show(path)
			}
		}
	}
	return groups, nil
}

// show shows a path and its parent directories.
func (c *changed) show(path string) {
	for path != "/" {
		dir := format.Parent(path)
		_, known := c.names[dir]
		c.names[dir] = append(c.names[dir], format.Base(path))
		if known {
			return
		}
		path = dir
	}
}

// Close implements rootfs.Tree. The caller closes the tree.
func (c *changed) Close() error { return nil }

// Stat implements rootfs.Tree.
func (c *changed) Stat(path string) (rootfs.Stat, error) {
	if c.gone[path] {
		return rootfs.Stat{Mode: unix.S_IFCHR, Links: 1}, nil
	}
	return c.tree.Stat(path)
}

// Names implements rootfs.Tree. If only the attributes of a directory changed, the directory is
// shown without names.
func (c *changed) Names(dir string) ([]string, error) {
	if c.gone[dir] {
		return nil, unix.ENOTDIR
	}
	if st, err := c.tree.Stat(dir); err != nil || !isDir(st) {
		return nil, errors.Join(err, unix.ENOTDIR)
	}
	return c.names[dir], nil
}

// Readlink implements rootfs.Tree.
func (c *changed) Readlink(path string) (string, error) { return c.tree.Readlink(path) }

// Xattrs implements rootfs.Tree.
func (c *changed) Xattrs(path string) ([]rootfs.Xattr, error) {
	if c.gone[path] {
		return nil, nil
	}
	return c.tree.Xattrs(path)
}

// Open implements rootfs.Tree.
func (c *changed) Open(path string) (io.ReaderAt, error) {
	if c.gone[path] {
		return nil, fs.ErrNotExist
	}
	return c.tree.Open(path)
}
