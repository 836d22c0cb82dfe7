package doctor

import (
	"slices"
	"strings"

	"chunkah/format"
)

// maxTargets bounds the options of an advice: nobody wants more on a command line.
const maxTargets = 20

// maxSingle is how many files of a directory are named before it is named in their place.
const maxSingle = 4

// gathering is what one check has found so far.
type gathering struct {
	files, bytes int64
	places       map[string]*directory
	targets      []string       // what would have to be left out: maxTargets and one more
	linked       map[int64]bool // hard-link groups whose bytes are counted
}

// directory is what was found in one.
type directory struct {
	Place
	single []Place // the files, as long as they are few
}

func newGathering() *gathering {
	return &gathering{places: make(map[string]*directory), linked: make(map[int64]bool)}
}

// add takes a file in. Its place is the directory that it is in; or target, where that is one above
// and each is not set.
func (g *gathering) add(f *format.File, target string, each bool) {
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

// list returns the places in order.
func (g *gathering) list() []Place {
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
