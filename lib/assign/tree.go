package assign

import (
	"errors"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// maxListed bounds a listed path, in bytes: package managers hand paths to the
// kernel whole, which takes less than this (PATH_MAX).
const maxListed = 4096

// Tree is the file records of one root, with what repos need to find their way
// in them. Repos read it; only Assign changes it.
type Tree struct {
	// Root is where databases and contents are read from.
	Root *rootfs.Root
	// Files are the records in stream order.
	Files []*format.File

	claimed []bool            // by index: has components
	parents map[string]string // listed directory -> physical one, "" where absent
	links   map[int64][]int   // hard-link group -> indexes
	asked   int               // the record to tell about, -1 for none
	named   []string          // what Name was told of that record
	fault   error             // why a path could not be resolved, though it may be there
}

// NewTree makes the tree of records that are in stream order.
func NewTree(root *rootfs.Root, files []*format.File) *Tree {
	t := &Tree{
		Root: root, Files: files,
		claimed: make([]bool, len(files)),
		parents: make(map[string]string),
		links:   make(map[int64][]int),
		asked:   -1,
	}
	for i, f := range files {
		t.claimed[i] = len(f.Components) > 0
		if f.Hardlink != 0 {
			t.links[f.Hardlink] = append(t.links[f.Hardlink], i)
		}
	}
	return t
}

// Name says which package of a repo it is that lists a file which the repo claims:
// several may be one component. Only the file that was asked about is remembered.
func (t *Tree) Name(file int, pkg string) {
	if file == t.asked {
		t.named = append(t.named, strings.Clone(pkg))
	}
}

// Lookup finds the record of a physical path.
func (t *Tree) Lookup(path string) (int, bool) {
	return sort.Find(len(t.Files), func(i int) int {
		return format.ComparePaths(path, t.Files[i].Path)
	})
}

// Find finds the record of a path as a package lists it, with or without the
// slash in front: symlinks in its parent are followed inside the root ("/lib/x"
// where /lib is a link to usr/lib), the last name is not.
func (t *Tree) Find(listed string) (int, bool) {
	if len(listed) > maxListed {
		return 0, false
	}
	listed = strings.TrimRight(listed, "/")
	if listed == "" {
		return t.Lookup("/")
	}
	if listed[0] != '/' {
		listed = "/" + listed
	}
	cut := strings.LastIndexByte(listed, '/')
	name := listed[cut+1:]
	if name == "." || name == ".." {
		return 0, false
	}
	parent, ok := t.resolve(listed[:cut])
	if !ok {
		return 0, false
	}
	if parent == "/" {
		return t.Lookup("/" + name)
	}
	return t.Lookup(parent + "/" + name)
}

// resolve returns the physical path of a listed directory. A directory that is not
// there holds nothing that could be claimed.
func (t *Tree) resolve(dir string) (string, bool) {
	if dir == "" {
		return "/", true
	}
	if physical, ok := t.parents[dir]; ok {
		return physical, physical != ""
	}
	physical, ok := t.resolveStep(dir)
	t.parents[dir] = physical
	return physical, ok
}

// resolveStep resolves dir from its own parent, which most likely is known
// already: one look instead of one for each element of the path.
func (t *Tree) resolveStep(dir string) (string, bool) {
	cut := strings.LastIndexByte(dir, '/')
	parent, ok := t.resolve(dir[:cut])
	if !ok {
		return "", false
	}
	name := dir[cut+1:]
	switch name {
	case "", ".":
		return parent, true
	case "..":
		return format.Parent(parent), true
	}
	path := parent + "/" + name
	if parent == "/" {
		path = "/" + name
	}
	if i, ok := t.Lookup(path); ok && t.Files[i].Type != format.TypeSymlink {
		if t.Files[i].Type != format.TypeDir {
			return "", false
		}
		return path, true
	}
	return t.Resolve(path + "/.") // which has to be a directory
}

// Resolve returns the physical path of a path in the root; false where nothing is
// there. What only keeps it from being seen, such as a disk that fails, must not
// pass for that: Assign ends with it.
func (t *Tree) Resolve(path string) (string, bool) {
	physical, err := t.Root.Resolve(path)
	if err == nil {
		return physical, true
	}
	var refused unix.Errno
	if errors.As(err, &refused) && !slices.Contains(absent, refused) && t.fault == nil {
		t.fault = err
	}
	return "", false
}

// absent is what the system says of a path that leads nowhere.
var absent = []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENAMETOOLONG}

// Claimed reports whether an earlier repo has claimed record i, or it came with
// components.
func (t *Tree) Claimed(i int) bool { return t.claimed[i] }

// Links returns the indexes of all names of record i's inode in the tree, i
// alone where it has no others.
func (t *Tree) Links(i int) []int {
	if g := t.Files[i].Hardlink; g != 0 {
		return t.links[g]
	}
	return []int{i}
}

// share gives the components of record i to all names of its inode that have
// none, and returns their indexes.
func (t *Tree) share(i int) []int {
	f := t.Files[i]
	if f.Hardlink == 0 {
		return nil
	}
	var given []int
	for _, link := range t.links[f.Hardlink] {
		if !t.claimed[link] {
			t.Files[link].Components = slices.Clip(f.Components)
			t.claimed[link] = true
			given = append(given, link)
		}
	}
	return given
}
