package doctor

import (
	"slices"
	"strings"

	"chunkah/format"
)

// maxTargets is the maximum number of options that a finding suggests. With more options, the
// command line would be too long.
const maxTargets = 20

// maxSingle is the largest number of files in a directory that are listed individually. If there
// are more, the directory is listed instead.
const maxSingle = 4

// collection collects the results of one check.
type collection struct {
	files, bytes int64
	places       map[string]*directory
	targets      []string       // paths to leave out, at most maxTargets+1
	linked       map[int64]bool // hard-link groups already counted
}

// directory is a directory with findings.
type directory struct {
	Place
	single []Place // its files, at most maxSingle
}

func newCollection() *collection {
	return &collection{places: make(map[string]*directory), linked: make(map[int64]bool)}
}

// add adds a file. Its place is its directory. If target is an ancestor of that directory and each
// is not set, its place is target.
func (g *collection) add(f *format.File, target string, each bool) {
	size := max(f.Size, 0)
	if f.Hardlink != 0 && g.linked[f.Hardlink] {
		size = 0
	} else if f.Hardlink != 0 {
		g.linked[f.Hardlink] = true
	}
	dir := strings.TrimSuffix(format.Parent(f.Path), "/") + "/"
	if each {
		target = f.Path
	} else if strings.HasSuffix(target, "/") {
		dir = target
	}
	if len(g.targets) <= maxTargets && !slices.Contains(g.targets, target) {
		g.targets = append(g.targets, target)
	}
	g.files, g.bytes = g.files+1, g.bytes+size
	d := g.places[dir]
	if d == nil {
		d = &directory{Place: Place{Path: dir}}
		g.places[dir] = d
	}
	d.Files, d.Bytes = d.Files+1, d.Bytes+size
	if d.Files > maxSingle {
		d.single = nil
		return
	}
	d.single = append(d.single, Place{f.Path, 1, size})
}

// list returns the places in path order.
func (g *collection) list() []Place {
	list := make([]Place, 0, len(g.places))
	for _, d := range g.places {
		if d.single == nil {
			list = append(list, d.Place)
		}
		list = append(list, d.single...)
	}
	slices.SortFunc(list, func(a, b Place) int {
		return format.ComparePaths(strings.TrimSuffix(a.Path, "/"), strings.TrimSuffix(b.Path, "/"))
	})
	return list
}
