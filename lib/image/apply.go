package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// applier applies layers to a tree, from the bottom up.
type applier struct {
	tree   *Tree
	budget *budget
	layer  uint16
	// removed is what whiteouts of this layer took away, by its path: its other
	// names may follow.
	removed map[string]*node
	// lastDir is the directory that was looked up last, at lastPath: entries come
	// by directory. It is nil where that may not be so any more.
	lastDir  *node
	lastPath string
}

// apply applies one layer. Its whiteouts come first, wherever they stand in it:
// they apply to the layers below, and never to files of their own layer (image
// specification, layer, "Whiteouts").
func (a *applier) apply(entries []entry, layer uint16, eye eye) error {
	a.layer, a.removed, a.lastDir = layer, make(map[string]*node), nil
	for _, e := range entries {
		switch e.kind {
		case kindWhiteout:
			a.whiteout(e.path)
		case kindOpaque:
			a.opaque(e.path)
		}
	}
	for _, e := range entries {
		if err := eye.fault(e.path, a.entry(e)); err != nil {
			return fmt.Errorf("entry %q: %w", e.path, err)
		}
	}
	return nil
}

// whiteout takes away what is at path, if anything is.
func (a *applier) whiteout(path string) {
	parent, base := splitName(path)
	d := a.below(parent)
	if d == nil {
		return
	}
	if n := d.more.dir.byName[base]; n != nil {
		a.removed[path] = n
		delete(d.more.dir.byName, base)
	}
}

// opaque takes away what is in the directory at path.
func (a *applier) opaque(path string) {
	d := a.below(path)
	if d == nil {
		return
	}
	for name, n := range d.more.dir.byName {
		a.removed[joinName(path, name)] = n
	}
	d.more.dir.byName = make(map[string]*node)
}

// below finds a directory of the layers below, and follows no link: what a whiteout
// does behind one, runtimes do not agree on. It returns nil where none is.
func (a *applier) below(path string) *node {
	n := a.tree.root
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		n = n.more.dir.byName[name]
		if n != nil && n.isSymlink() {
			a.note("layer %d has whiteouts in %q, where %q is a symlink to %q in a layer below: they hide nothing; "+
				"some runtimes follow it", a.tree.layers[a.layer].origin.Layer, path, name, n.more.target)
		}
		if n == nil || !n.isDir() {
			return nil
		}
	}
	return n
}

func joinName(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

// entry applies what is no whiteout.
func (a *applier) entry(e entry) error {
	switch {
	case e.kind == kindWhiteout:
		return nil
	case e.kind == kindOpaque:
		_, err := a.parent(e.path) // it is there, if as yet only by this
		return err
	case e.path == "":
		a.tree.root.setAll(e.node)
		return nil
	}
	parent, base := splitName(e.path)
	d, err := a.parent(parent)
	if err != nil {
		return err
	}
	old := d.more.dir.byName[base]
	if old != nil && old.isDir() && e.kind == kindNode && e.node.isDir() {
		old.setAll(e.node)
		return nil
	}
	if old != nil && (old.isDir() || old.isSymlink()) {
		a.lastDir = nil
	}
	n := e.node
	if e.kind == kindLink {
		// The old one goes first: a link to itself, or into the directory that it
		// replaces, finds nothing, as in a file system.
		delete(d.more.dir.byName, base)
		if n, err = a.linked(e); err != nil {
			return err
		}
	}
	if old == nil {
		base = strings.Clone(base) // the map keeps it, and not the whole path
	}
	d.more.dir.byName[base] = n
	return nil
}

// setAll gives a directory the metadata of its entry, which replaces all it had.
func (n *node) setAll(from *node) {
	n.mode, n.uid, n.gid, n.mtime, n.nsec, n.from = from.mode, from.uid, from.gid, from.mtime, from.nsec, from.from
	n.more.xattrs = from.more.xattrs
}

// linked is the inode that a hard link is one more name of, with the metadata of
// the link's entry, as all runtimes have it: the last one counts. Of a symlink they
// set the owner only.
func (a *applier) linked(e entry) (*node, error) {
	n, err := a.target(e.link)
	if err != nil {
		return nil, fmt.Errorf("is a hard link to %q, which %w", e.link, err)
	}
	n.uid, n.gid, n.from = e.node.uid, e.node.gid, a.layer
	if !n.isSymlink() {
		n.mode = n.mode&unix.S_IFMT | e.node.mode
		n.mtime, n.nsec = e.node.mtime, e.node.nsec
	}
	if e.node.more != nil {
		n.addXattrs(e.node.more.xattrs)
	}
	return n, nil
}

// addXattrs sets more extended attributes, and leaves the others.
func (n *node) addXattrs(list []rootfs.Xattr) {
	for _, x := range list {
		have := n.extra().xattrs
		i := slices.IndexFunc(have, func(y rootfs.Xattr) bool { return x.Name == y.Name })
		if i >= 0 {
			have[i].Value = x.Value
		} else {
			n.more.xattrs = append(have, x)
		}
	}
	if n.more != nil {
		sortXattrs(n.more.xattrs)
	}
}

var errNotThere = errors.New("is not there")

// target finds what a hard link is to: in the tree as it is by now, or among what
// this layer deletes.
func (a *applier) target(path string) (*node, error) {
	n, err := a.lookup(path)
	if err != nil {
		return nil, err
	}
	switch {
	case n == nil:
		return nil, errNotThere
	case n.isDir():
		return nil, errors.New("is a directory")
	}
	return n, nil
}

func (a *applier) lookup(path string) (*node, error) {
	parent, base := splitName(path)
	if d, err := a.walk(parent, false); err == nil && d.isDir() {
		if n := d.more.dir.byName[base]; n != nil {
			return n, nil
		}
	} else if !errors.Is(err, errNotThere) && err != nil {
		return nil, err
	}
	for cut := path; cut != ""; cut, _ = splitName(cut) {
		if n := a.removed[cut]; n != nil {
			return inRemoved(n, strings.TrimPrefix(path[len(cut):], "/")), nil
		}
	}
	return nil, nil
}

// inRemoved finds a path in what was removed.
func inRemoved(n *node, path string) *node {
	for path != "" && n != nil {
		var name string
		name, path, _ = strings.Cut(path, "/")
		if !n.isDir() {
			return nil
		}
		n = n.more.dir.byName[name]
	}
	return n
}

// parent is the directory at path, made with what leads to it where it is not
// there.
func (a *applier) parent(path string) (*node, error) {
	if a.lastDir != nil && a.lastPath == path {
		return a.lastDir, nil
	}
	n, err := a.walk(path, true)
	if err != nil {
		return nil, err
	}
	a.lastDir, a.lastPath = n, path
	return n, nil
}

// walk descends to the directory at path. Symlinks are followed inside the tree,
// where the root is its own parent. With create, what is missing becomes a
// directory, and so does what a layer below has there and is none: see
// Flatten.
func (a *applier) walk(path string, create bool) (*node, error) {
	at := []*node{a.tree.root}
	links := 0
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		top := at[len(at)-1]
		switch name {
		case "", ".":
			continue
		case "..":
			at = at[:max(1, len(at)-1)]
			continue
		}
		n := top.more.dir.byName[name]
		if n != nil && n.isSymlink() && (!create || n.from == a.layer) {
			if links++; links > maxLinks {
				return nil, fmt.Errorf("leads over more than %d symlinks", maxLinks)
			}
			if strings.HasPrefix(n.more.target, "/") {
				at = at[:1]
			}
			rest = n.more.target + "/" + rest
			continue
		}
		if n == nil || !n.isDir() {
			if !create {
				return nil, errNotThere
			}
			var err error
			if n, err = a.imply(top, name, path); err != nil {
				return nil, err
			}
		}
		if len(at) >= format.MaxDepth {
			return nil, fmt.Errorf("lies more than %d directories deep", format.MaxDepth)
		}
		at = append(at, n)
	}
	return at[len(at)-1], nil
}

// imply makes a directory of a name that leads to path, where there is none.
func (a *applier) imply(parent *node, name, path string) (*node, error) {
	old := parent.more.dir.byName[name]
	if old != nil {
		if old.from == a.layer {
			return nil, fmt.Errorf("lies below %q, which is no directory in this layer", name)
		}
		if old.isSymlink() {
			a.note("layer %d has files in %q, where %q is a symlink to %q in a layer below: it becomes a directory, "+
				"as in overlay storage; other runtimes follow it", a.tree.layers[a.layer].origin.Layer, path, name, old.more.target)
		}
	}
	if err := a.budget.entry(len(name)); err != nil {
		return nil, err
	}
	n := impliedDir(a.layer)
	parent.more.dir.byName[strings.Clone(name)] = n
	return n, nil
}

// maxNotes bounds the notes of a tree: one of a kind is enough.
const maxNotes = 20

// note adds to the tree's notes.
func (a *applier) note(text string, args ...any) {
	if len(a.tree.Notes) < maxNotes {
		a.tree.Notes = append(a.tree.Notes, fmt.Sprintf(text, args...))
	}
}

// impliedDir is a directory that no entry tells of.
func impliedDir(layer uint16) *node {
	return &node{mode: unix.S_IFDIR | 0o755, from: layer, more: &more{dir: &dir{byName: make(map[string]*node)}}}
}
