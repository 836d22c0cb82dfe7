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

// MaxListed bounds a listed path, in bytes: package managers pass whole paths to the
// kernel, which refuses longer ones (PATH_MAX).
const MaxListed = 4096

// Tree has the file records of one root, and finds records by paths. Repos read it; only
// Assign changes it.
type Tree struct {
	// Root is where databases and contents are read from.
	Root *rootfs.Root
	// Files are the records in stream order.
	Files []*format.File
	// Partial is set where layers of the root are kept: what they have is not in Files.
	Partial bool

	claimed  []bool          // by index: has components
	links    map[int64][]int // hard-link group -> indexes
	shared   map[int64]bool  // hard-link group -> all of it is claimed
	resolver *rootfs.Resolver
	targets  map[int]int // symlink -> record that it leads to, -1 for none
	// lastListed is the listed directory that was looked up last, lastFound its
	// physical path, empty for none.
	lastListed, lastFound string
}

// NewTree makes the tree of records that are in stream order.
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

// Find finds the record of a path as a package lists it, with or without the
// slash in front. Symlinks in its parent are followed inside the root ("/lib/x"
// where /lib is a link to usr/lib), the last name is not. An error says why the path
// could not be resolved, such as a disk that fails.
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
	i, found = t.Lookup(Join(parent, name))
	return i, found, nil
}

// Target finds the record that the symlink of record i leads to, which may be another
// symlink.
func (t *Tree) Target(i int) (target int, found bool, err error) {
	f := t.Files[i]
	if f.Type != format.TypeSymlink {
		return 0, false, nil
	}
	if at, known := t.targets[i]; known {
		return at, at >= 0, nil
	}
	at, found, err := t.Find(lead(f.Path, f.Target))
	if err != nil {
		return 0, false, err
	}
	if !found {
		at = -1
	}
	t.targets[i] = at
	return at, found, nil
}

// maxLinks bounds the links of one chain, as Linux does.
const maxLinks = 40

// FinalTarget finds the record that the symlink of record i leads to, through links that no
// repo has claimed: one that is claimed is as good as a file.
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

// lead returns the absolute path that the link at a physical path points to. Its
// leading dots are resolved, which no link can change; others are left in it.
func lead(link, target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	dir := format.Parent(link)
	for {
		rest, up := strings.CutPrefix(target, "../")
		if up {
			dir = format.Parent(dir)
		} else if rest, up = strings.CutPrefix(target, "./"); !up {
			return Join(dir, target)
		}
		target = strings.TrimLeft(rest, "/")
	}
}

// dir returns the physical path of a listed directory, "" if there is none. Files of
// one directory are listed together, so the last one is kept.
func (t *Tree) dir(listed string) (string, error) {
	if t.lastFound == "" || listed != t.lastListed {
		found, err := t.Resolve(listed + "/.") // which has to be a directory
		if err != nil {
			return "", err
		}
		t.lastListed, t.lastFound = listed, found
	}
	return t.lastFound, nil
}

// peek tells the resolver the type of a name in a directory. Only names without a
// record, which were left out of the scan, are looked up in the root.
func (t *Tree) peek(dir, name string) (kind uint32, target string, err error) {
	i, found := t.Lookup(Join(dir, name))
	if !found {
		return t.Root.Peek(dir, name)
	}
	switch f := t.Files[i]; f.Type {
	case format.TypeDir:
		return unix.S_IFDIR, "", nil
	case format.TypeSymlink:
		return unix.S_IFLNK, f.Target, nil
	default:
		return unix.S_IFREG, "", nil // of whatever kind: nothing is below it
	}
}

// Resolve returns the physical path of a path in the root, "" if nothing is there. It
// is an error if the path could not be looked at.
func (t *Tree) Resolve(path string) (string, error) {
	physical, err := t.resolver.Resolve(path)
	var refused unix.Errno
	if errors.As(err, &refused) && !slices.Contains(absent, refused) {
		return "", err
	}
	if err != nil {
		return "", nil //nolint:nilerr // nothing is there
	}
	return physical, nil
}

// absent are the errors of a path that leads nowhere.
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
