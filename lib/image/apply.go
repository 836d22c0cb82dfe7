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
	// rootTar is set if the only layer is a tar of a root file system.
	rootTar bool
	// removed contains, by directory, the entries that whiteouts in this layer removed. Hard links
	// to them can follow.
	removed map[*dir]map[string]*node
	// aufs contains, by path, the files in this layer that AUFS stored as targets of hard links.
	aufs map[string]*node
	// lastDir is the directory that was looked up last, and lastPath is its path. Entries are
	// mostly grouped by directory. lastDir is nil if the path could have changed.
	lastDir  *node
	lastPath string
	// detours is the number of names that symlink resolution can still use.
	detours int
}

// apply applies one layer. It applies the whiteouts first, wherever they are in the layer, because
// they hide only files of lower layers (image specification, layer, "Whiteouts").
func (a *applier) apply(entries []entry, layer uint16, observer observer) error {
	a.detours += entryDetours * len(entries)
	if n := a.tree.layers[layer].trailing; n > 0 && a.rootTar {
		a.note("ignoring %d bytes after the end of the tar: if several tars are concatenated, use each as a separate source", n)
	} else if n > 0 {
		a.note("layer %d has %d bytes after the end of its tar, which belong to its digest but not to a file", layer, n)
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
		if observer.ctx.Err() != nil {
			return context.Cause(observer.ctx)
		}
		if err := observer.fault(e.path, a.entry(e)); err != nil {
			return fmt.Errorf("entry %q: %w", e.path, err)
		}
	}
	return nil
}

// whiteout removes the file or directory at path, if it exists.
func (a *applier) whiteout(path string) {
	parent, base := splitName(path)
	if d := a.below(parent); d != nil {
		a.remove(d.more.dir, base)
	}
}

// opaque removes everything in the directory at path.
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

// below finds a directory in the lower layers, or returns nil. It does not follow symlinks, because
// runtimes disagree on the effect of a whiteout behind a symlink.
func (a *applier) below(path string) *node {
	n := a.tree.root
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		n = n.more.dir.byName[name]
		if n != nil && n.isSymlink() {
			a.note("layer %d has whiteouts in %q, where %q is a symlink to %q in a layer below: they have no effect; "+
				"some runtimes follow the symlink", a.layer, path, name, n.more.target)
		}
		if n == nil || !n.isDir() {
			return nil
		}
	}
	return n
}

// entry applies an entry that is not a whiteout.
func (a *applier) entry(e entry) error {
	switch {
	case e.kind == kindWhiteout, e.kind == kindAUFS:
		return nil
	case e.kind == kindOpaque:
		_, err := a.parent(e.path) // an entry below this path was enough to create it
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
		// Remove the old entry first, so that a hard link to itself, or into the directory that it
		// replaces, fails as in a file system.
		delete(d.more.dir.byName, base)
		if n, err = a.linked(e); err != nil {
			return err
		}
	}
	d.more.dir.byName[strings.Clone(base)] = n // keeps only the name in memory instead of the whole path
	return nil
}

// setAll replaces all metadata of a directory with its entry's metadata.
func (n *node) setAll(from *node) {
	n.mode, n.uid, n.gid, n.mtime, n.nsec, n.from = from.mode, from.uid, from.gid, from.mtime, from.nsec, from.from
	n.more.xattrs = from.more.xattrs
}

// linked returns the inode of a hard link's target. As in all runtimes, the inode gets the metadata
// of the link's entry, so the last entry takes precedence. For a symlink, runtimes set only the
// owner.
func (a *applier) linked(e entry) (*node, error) {
	n, err := a.target(e.link)
	if err != nil {
		return nil, fmt.Errorf("is a hard link to %q, which %w", e.link, err)
	}
	n.relinked = n.relinked || n.stored && n.differs(e.node)
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

// addXattrs sets extended attributes and keeps the other attributes.
func (n *node) addXattrs(list []rootfs.Xattr) error {
	for _, x := range list {
		have := n.extra().xattrs
		i, found := slices.BinarySearchFunc(have, x.Name, func(y rootfs.Xattr, name string) int { return strings.Compare(y.Name, name) })
		if !found && len(have) == format.MaxXattrs {
			return fmt.Errorf("has more than %d xattrs, counted over all its hard links", format.MaxXattrs)
		}
		if !found {
			have = slices.Insert(have, i, x)
		}
		have[i].Value = x.Value
		n.more.xattrs = have
	}
	return nil
}

var errNotThere = errors.New("does not exist")

// target finds the target of a hard link in the current tree, or among the files that this layer
// deletes.
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

// seen finds a name in a directory, including names that this layer deleted from it.
func (a *applier) seen(d *dir, name string) *node {
	if n := d.byName[name]; n != nil {
		return n
	}
	return a.removed[d][name]
}

// parent returns the directory at path. It creates missing directories.
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

var errDetours = fmt.Errorf("needs too many steps to follow symlinks (more than %d per entry so far, plus %d): this looks like an attack",
	entryDetours, freeDetours)

// walk descends to the directory at path. It follows symlinks inside the tree. The parent of / is /
// itself.
//
// If create is set, walk creates missing directories, and replaces files and symlinks of lower
// layers with directories. Otherwise, walk also finds names that this layer deletes.
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
				return nil, fmt.Errorf("follows more than %d symlinks", maxLinks)
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
			return nil, fmt.Errorf("is more than %d directories deep", format.MaxDepth)
		}
		at = append(at, n)
	}
	return at[len(at)-1], nil
}

// imply creates a directory that is needed for path and does not exist.
func (a *applier) imply(parent *node, name, path string) (*node, error) {
	old := parent.more.dir.byName[name]
	if old != nil {
		if old.from == a.layer {
			return nil, fmt.Errorf("is below %q, which is not a directory in this layer", name)
		}
		if old.isSymlink() {
			a.note("layer %d has files in %q, where %q is a symlink to %q in a layer below: the symlink becomes a directory, "+
				"as in overlay storage; other runtimes follow the symlink", a.layer, path, name, old.more.target)
		}
	}
	if err := a.budget.entry(len(name)); err != nil {
		return nil, err
	}
	n := impliedDir(a.layer)
	parent.more.dir.byName[strings.Clone(name)] = n
	return n, nil
}

// maxNotes is the largest number of notes about a tree.
const maxNotes = 20

func (a *applier) note(text string, args ...any) {
	line := fmt.Sprintf(text, args...)
	if len(a.tree.Notes) < maxNotes && !slices.Contains(a.tree.Notes, line) {
		a.tree.Notes = append(a.tree.Notes, line)
	}
}

// impliedDir returns a directory that has no entry.
func impliedDir(layer uint16) *node {
	return &node{mode: unix.S_IFDIR | 0o755, from: layer, more: &more{dir: &dir{byName: make(map[string]*node)}}}
}
