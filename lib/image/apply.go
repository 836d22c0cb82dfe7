package image

import (
	"context"
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
	// rootTar is set if the only layer is a root tar.
	rootTar bool
	// removed is what whiteouts of this layer took out of directories: hard links to
	// it may follow.
	removed map[*dir]map[string]*node
	// aufs are files that AUFS kept for hard links to them, by path: of this layer.
	aufs map[string]*node
	// lastDir is the directory that was looked up last, at lastPath: entries come
	// by directory. It is nil where that may not be so any more.
	lastDir  *node
	lastPath string
	// detours is how many names symlinks may still lead over.
	detours int
}

// apply applies one layer. Its whiteouts come first, wherever they stand in it:
// they apply to the layers below, and never to files of their own layer (image
// specification, layer, "Whiteouts").
func (a *applier) apply(entries []entry, layer uint16, eye eye) error {
	a.detours += entryDetours * len(entries)
	if n := a.tree.layers[layer].trailing; n > 0 && a.rootTar {
		a.note("%d bytes behind the end of the tar are ignored: where several tars follow each other, name each as a source", n)
	} else if n > 0 {
		a.note("layer %d has %d bytes behind the end of its tar: they belong to its digest and to no file", layer, n)
	}
	a.layer, a.removed, a.lastDir = layer, make(map[*dir]map[string]*node), nil
	a.aufs = make(map[string]*node)
	for _, e := range entries {
		switch e.kind {
		case kindWhiteout:
			a.whiteout(e.path)
		case kindOpaque:
			a.opaque(e.path)
		case kindAUFS:
			if e.node != nil {
				a.aufs[e.path] = e.node
			}
		}
	}
	for _, e := range entries {
		if eye.ctx.Err() != nil {
			return context.Cause(eye.ctx)
		}
		if err := eye.fault(e.path, a.entry(e)); err != nil {
			return fmt.Errorf("entry %q: %w", e.path, err)
		}
	}
	return nil
}

// whiteout takes away what is at path, if anything is.
func (a *applier) whiteout(path string) {
	parent, base := splitName(path)
	if d := a.below(parent); d != nil {
		a.remove(d.more.dir, base)
	}
}

// opaque takes away what is in the directory at path.
func (a *applier) opaque(path string) {
	if d := a.below(path); d != nil {
		for name := range d.more.dir.byName {
			a.remove(d.more.dir, name)
		}
	}
}

func (a *applier) remove(d *dir, name string) {
	n := d.byName[name]
	if n == nil {
		return
	}
	delete(d.byName, name)
	if a.removed[d] == nil {
		a.removed[d] = make(map[string]*node)
	}
	a.removed[d][name] = n
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
				"some runtimes follow it", a.layer, path, name, n.more.target)
		}
		if n == nil || !n.isDir() {
			return nil
		}
	}
	return n
}

// entry applies what is no whiteout.
func (a *applier) entry(e entry) error {
	switch {
	case e.kind == kindWhiteout, e.kind == kindAUFS:
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
	d.more.dir.byName[strings.Clone(base)] = n // which keeps the name, and not the whole path
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
		return n, n.addXattrs(e.node.more.xattrs)
	}
	return n, nil
}

// addXattrs sets more extended attributes, and leaves the others.
func (n *node) addXattrs(list []rootfs.Xattr) error {
	for _, x := range list {
		have := n.extra().xattrs
		i, found := slices.BinarySearchFunc(have, x.Name, func(y rootfs.Xattr, name string) int { return strings.Compare(y.Name, name) })
		if !found && len(have) == format.MaxXattrs {
			return fmt.Errorf("has more than %d xattrs with all its links", format.MaxXattrs)
		}
		if !found {
			have = slices.Insert(have, i, x)
		}
		have[i].Value = x.Value
		n.more.xattrs = have
	}
	return nil
}

var errNotThere = errors.New("is not there")

// target finds what a hard link is to: in the tree as it is by now, or among what
// this layer deletes.
func (a *applier) target(path string) (*node, error) {
	if n := a.aufs[path]; n != nil {
		return n, nil
	}
	parent, base := splitName(path)
	d, err := a.walk(parent, false)
	if err != nil {
		return nil, err
	}
	n := a.seen(d.more.dir, base)
	switch {
	case n == nil:
		return nil, errNotThere
	case n.isDir():
		return nil, errors.New("is a directory")
	}
	return n, nil
}

// seen is what is in a directory, or was before this layer deleted it.
func (a *applier) seen(d *dir, name string) *node {
	if n := d.byName[name]; n != nil {
		return n
	}
	return a.removed[d][name]
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

var errDetours = fmt.Errorf("leads over symlinks: the entries so far took more than %d names each to follow them, and %d: it is made to do harm",
	entryDetours, freeDetours)

// walk descends to the directory at path. Symlinks are followed inside the tree,
// where the root is its own parent. With create, what is missing becomes a
// directory, and so does what a layer below has there and is none, a symlink too.
// Without, what this layer deletes counts as well.
func (a *applier) walk(path string, create bool) (*node, error) {
	at := []*node{a.tree.root}
	links := 0
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if links > 0 {
			if a.detours--; a.detours < 0 {
				return nil, errDetours
			}
		}
		top := at[len(at)-1]
		switch name {
		case "", ".":
			continue
		case "..":
			at = at[:max(1, len(at)-1)]
			continue
		}
		n := top.more.dir.byName[name]
		if !create {
			n = a.seen(top.more.dir, name)
		}
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
				"as in overlay storage; other runtimes follow it", a.layer, path, name, old.more.target)
		}
	}
	if err := a.budget.entry(len(name)); err != nil {
		return nil, err
	}
	n := impliedDir(a.layer)
	parent.more.dir.byName[strings.Clone(name)] = n
	return n, nil
}

// maxNotes bounds the notes of a tree.
const maxNotes = 20

// note adds to the tree's notes.
func (a *applier) note(text string, args ...any) {
	line := fmt.Sprintf(text, args...)
	if len(a.tree.Notes) < maxNotes && !slices.Contains(a.tree.Notes, line) {
		a.tree.Notes = append(a.tree.Notes, line)
	}
}

// impliedDir is a directory that no entry tells of.
func impliedDir(layer uint16) *node {
	return &node{mode: unix.S_IFDIR | 0o755, from: layer, more: &more{dir: &dir{byName: make(map[string]*node)}}}
}
