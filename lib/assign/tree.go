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

// MaxListed is the maximum size, in bytes, of a path in a package's file list. Package managers
// pass the path to the kernel, which refuses longer paths (PATH_MAX).
const MaxListed = 4096

// Tree contains the file records of a root, and finds records by path. Repos read it, and only
// Assign changes it.
type Tree struct {
	// Root is the root from which databases and contents are read.
	Root *rootfs.Root
	// Files are the records in stream order.
	Files []*format.File
	// Partial is set if layers of the root are kept. The files in those layers are not in Files.
	Partial bool

	claimed  []bool          // by index: the record has components
	links    map[int64][]int // hard-link group -> indexes
	shared   map[int64]bool  // hard-link group -> all its names are claimed
	resolver *rootfs.Resolver
	targets  map[int]int // symlink -> record of its target, or -1
	// lastListed is the directory that dir resolved most recently. lastFound is its physical path,
	// or empty if it does not exist.
	lastListed, lastFound string
}

// NewTree makes a tree from records in stream order.
func NewTree(root *rootfs.Root, files []*format.File) *Tree {
	t := &Tree{
		Root: root, Files: files,
		claimed: make([]bool, len(files)),
		links:   make(map[int64][]int),
		shared:  make(map[int64]bool),
		targets: make(map[int]int),
	}
	t.resolver = rootfs.NewResolver(t.peek)
	for i, f := range files {
		t.claimed[i] = len(f.Components) > 0
		if f.Hardlink != 0 {
			t.links[f.Hardlink] = append(t.links[f.Hardlink], i)
		}
	}
	return t
}

// Lookup finds the record of a physical path.
func (t *Tree) Lookup(path string) (int, bool) {
	return sort.Find(len(t.Files), func(i int) int {
		return format.ComparePaths(path, t.Files[i].Path)
	})
}

// Find finds the record of a path as a package lists it, with or without a leading slash. It
// follows symlinks in the path's parents inside the root ("/lib/x" if /lib is a link to usr/lib),
// but does not follow the last element. It fails if the path cannot be resolved, for example
// because of a disk error.
func (t *Tree) Find(listed string) (i int, found bool, err error) {
	if len(listed) > MaxListed {
		return 0, false, nil
	}
	listed = strings.TrimRight(listed, "/")
	if listed == "" {
		i, found = t.Lookup("/")
		return i, found, nil
	}
	if listed[0] != '/' {
		listed = "/" + listed
	}
	cut := strings.LastIndexByte(listed, '/')
	name := listed[cut+1:]
	if name == "." || name == ".." {
		return 0, false, nil
	}
	parent, err := t.dir(listed[:cut])
	if err != nil || parent == "" {
		return 0, false, err
	}
	i, found = t.Lookup(format.Join(parent, name))
	return i, found, nil
}

// Target finds the record for the target of record i's symlink. That record can be another symlink.
func (t *Tree) Target(i int) (target int, found bool, err error) {
	f := t.Files[i]
	if f.Type != format.TypeSymlink {
		return 0, false, nil
	}
	if at, known := t.targets[i]; known {
		return at, at >= 0, nil
	}
	at, found, err := t.Find(absoluteTarget(f.Path, f.Target))
	if err != nil {
		return 0, false, err
	}
	if !found {
		at = -1
	}
	t.targets[i] = at
	return at, found, nil
}

// maxLinks is the largest number of links in a chain, the same as in Linux.
const maxLinks = 40

// FinalTarget finds the record that record i's symlink leads to. It follows only links that no repo
// has claimed. A claimed link is treated like a file.
func (t *Tree) FinalTarget(i int) (target int, found bool, err error) {
	for range maxLinks {
		if i, found, err = t.Target(i); !found {
			return 0, false, err
		}
		if t.Files[i].Type != format.TypeSymlink || t.claimed[i] {
			return i, true, nil
		}
	}
	return 0, false, nil
}

// absoluteTarget returns the absolute path of a link's target. Leading ".." elements are resolved,
// because no link can change their meaning. Other ".." elements are kept.
func absoluteTarget(link, target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	dir := format.Parent(link)
	for {
		rest, up := strings.CutPrefix(target, "../")
		if up {
			dir = format.Parent(dir)
		} else if rest, up = strings.CutPrefix(target, "./"); !up {
			return format.Join(dir, target)
		}
		target = strings.TrimLeft(rest, "/")
	}
}

// dir returns the physical path of a listed directory, or "" if it does not exist. It caches the
// last result, because files in one directory are listed together.
func (t *Tree) dir(listed string) (string, error) {
	if t.lastFound == "" || listed != t.lastListed {
		found, err := t.Resolve(listed + "/.") // the path must be a directory
		if err != nil {
			return "", err
		}
		t.lastListed, t.lastFound = listed, found
	}
	return t.lastFound, nil
}

// peek returns the type of a name in a directory for the resolver. Names that the scan left out
// have no record and are looked up in the root.
func (t *Tree) peek(dir, name string) (kind uint32, target string, err error) {
	i, found := t.Lookup(format.Join(dir, name))
	if !found {
		return t.Root.Peek(dir, name)
	}
	switch f := t.Files[i]; f.Type {
	case format.TypeDir:
		return unix.S_IFDIR, "", nil
	case format.TypeSymlink:
		return unix.S_IFLNK, f.Target, nil
	default:
		return unix.S_IFREG, "", nil // any type will do, because nothing is below it
	}
}

// Resolve returns the physical path of a path in the root, or "" if it does not exist. It fails if
// the path cannot be read.
func (t *Tree) Resolve(path string) (string, error) {
	physical, err := t.resolver.Resolve(path)
	var refused unix.Errno
	if errors.As(err, &refused) && !slices.Contains(absent, refused) {
		return "", err
	}
	if err != nil {
		return "", nil //nolint:nilerr // it does not exist
	}
	return physical, nil
}

// absent contains the errors for paths that do not exist.
var absent = []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENAMETOOLONG}

// Claimed reports whether record i has components, from an earlier repo or from the input.
func (t *Tree) Claimed(i int) bool { return t.claimed[i] }

// Links returns the indexes of all names of record i's inode in the tree.
func (t *Tree) Links(i int) []int {
	if g := t.Files[i].Hardlink; g != 0 {
		return t.links[g]
	}
	return []int{i}
}

// share assigns the components of record i to those names of its inode that have no components. It
// returns their indexes.
func (t *Tree) share(i int) []int {
	f := t.Files[i]
	if f.Hardlink == 0 || t.shared[f.Hardlink] {
		return nil
	}
	t.shared[f.Hardlink] = true
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
