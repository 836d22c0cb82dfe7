package scan

import (
	"path"
	"strings"

	"chunkah/format"
)

// pruner answers whether a path was named to be left out. Its maps tell whether
// a clean path was met.
type pruner struct {
	list     []string
	whole    map[string]bool
	contents map[string]bool // of directories
}

func newPruner(list []string) *pruner {
	p := &pruner{list: list, whole: make(map[string]bool), contents: make(map[string]bool)}
	for _, name := range list {
		clean, named := p.parse(name)
		named[clean] = false
	}
	return p
}

// parse returns the path that an option names and the map that it is in.
func (p *pruner) parse(name string) (clean string, named map[string]bool) {
	if strings.HasSuffix(name, "/") {
		return path.Clean("/" + name), p.contents
	}
	return path.Clean("/" + name), p.whole
}

// prunes reports whether path is left out with all that is in it.
func (p *pruner) prunes(path string) bool { return meet(p.whole, path) }

// empties reports whether what is in the directory at path is left out.
func (p *pruner) empties(path string) bool { return meet(p.contents, path) }

func meet(named map[string]bool, path string) bool {
	_, found := named[path]
	if found {
		named[path] = true
	}
	return found
}

// unmatched returns what was named and not met, except what lies in something
// else that was left out: nobody knows whether it is there.
func (p *pruner) unmatched() []string {
	var list []string
	for _, name := range p.list {
		if clean, named := p.parse(name); !named[clean] && !p.hidden(clean) {
			list = append(list, name)
		}
	}
	return list
}

func (p *pruner) hidden(path string) bool {
	if p.whole[path] {
		return true
	}
	for path != "/" {
		path = format.Parent(path)
		if p.whole[path] || p.contents[path] {
			return true
		}
	}
	return false
}
