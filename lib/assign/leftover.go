package assign

import (
	"maps"
	"slices"
	"strings"

	"chunkah/format"
)

// No database records how often unowned files change, but these files are not stable. Each package
// installation changes system caches and settings, and most new images are built because their
// unpackaged applications have changed.
const (
	// systemInterval is the interval of system files, in days. These files change in every build.
	systemInterval = 1
	// AppInterval is the interval of applications and large files, in days.
	AppInterval = 7
)

// systemDirs are the top-level directories of an operating system (FHS 3.0, section 3, and the
// directories of ostree). Any other top-level directory counts as an application.
var systemDirs = map[string]bool{
	"bin": true, "boot": true, "dev": true, "efi": true, "etc": true, "home": true,
	"lib": true, "lib32": true, "lib64": true, "libx32": true, "lost+found": true,
	"media": true, "mnt": true, "opt": true, "ostree": true, "proc": true, "root": true,
	"run": true, "sbin": true, "srv": true, "sys": true, "sysroot": true, "tmp": true,
	"usr": true, "var": true,
}

// appParents are directories that contain one directory per application, site or user.
var appParents = []string{"/opt/", "/srv/", "/usr/local/", "/home/", "/var/opt/", "/var/www/"}

// mostLeftovers is the maximum number of leftovers to list, largest first. Each of them is a
// candidate for a component of its own.
const mostLeftovers = 10

// claimLeftovers tags all files that have no component yet. It skips non-empty directories, because
// a directory is written along with its files. It returns the components of the leftovers, and adds
// information about the leftovers to the outcome.
func claimLeftovers(t *Tree, out *Outcome) []*format.Component {
	s := Summary{Repo: "chunkah", Found: true}
	names := leftoverNames{lists: make(map[string][]string)}
	counted := make(map[int64]bool)
	left := make([]int, 0, len(t.Files)) // indexes of records
	for i, f := range t.Files {
		if t.claimed[i] || t.Holds(i) {
			continue
		}
		f.Components = names.of(f)
		t.claimed[i] = true
		s.count(f, counted)
		out.Leftovers = keepLargest(out.Leftovers, f)
		if f.Type != format.TypeDir {
			left = append(left, i)
		}
		for _, link := range t.share(i) {
			s.count(t.Files[link], counted)
		}
	}
	s.Components = len(names.lists)
	out.Summaries = append(out.Summaries, s)
	out.UnclaimedTrees = unclaimedTrees(t, left)
	return names.components()
}

// keepLargest inserts f if it is one of the mostLeftovers largest files. Files of equal size keep
// their order.
func keepLargest(largest []*format.File, f *format.File) []*format.File {
	if len(largest) == mostLeftovers && largest[mostLeftovers-1].Size >= f.Size {
		return largest
	}
	at, _ := slices.BinarySearchFunc(largest, f, func(kept, f *format.File) int {
		if kept.Size >= f.Size {
			return -1
		}
		return 1
	})
	largest = slices.Insert(largest, at, f)
	return largest[:min(len(largest), mostLeftovers)]
}

// leftoverNames collects the components of leftovers. All records of a component share one list.
type leftoverNames struct {
	lists map[string][]string
	// dir and last are the previous file's directory and list. Often the next file is in the same
	// directory.
	dir  string
	last []string
}

func (n *leftoverNames) of(f *format.File) []string {
	if f.Type == format.TypeDir {
		return n.list(format.EmptyDirectories)
	}
	dir := appDir(f)
	if n.last == nil || dir != n.dir {
		name := format.Unclaimed
		if dir != "" {
			name += format.Text(dir)
		}
		n.dir, n.last = dir, n.list(name)
	}
	return n.last
}

func (n *leftoverNames) list(name string) []string {
	if n.lists[name] == nil {
		n.lists[name] = []string{name}
	}
	return n.lists[name]
}

// components lists the components that contain files, by name.
func (n *leftoverNames) components() (list []*format.Component) {
	for _, name := range slices.Sorted(maps.Keys(n.lists)) {
		c := &format.Component{Name: name, IntervalDays: AppInterval}
		if name == format.Unclaimed || name == format.EmptyDirectories {
			c.IntervalDays = systemInterval
		}
		list = append(list, c)
	}
	return list
}

// appDir returns the application directory of f, or "" if f is in no such directory.
func appDir(f *format.File) string {
	for _, parent := range appParents {
		if rest, ok := strings.CutPrefix(f.Path, parent); ok {
			name, _, below := strings.Cut(rest, "/")
			if !below && f.Type != format.TypeDir {
				return ""
			}
			return f.Path[:len(parent)+len(name)]
		}
	}
	top, _, below := strings.Cut(f.Path[1:], "/")
	if systemDirs[top] || !below && f.Type != format.TypeDir || top == "" {
		return ""
	}
	return f.Path[:len("/")+len(top)]
}
