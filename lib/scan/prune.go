package scan

import (
	"path"
	"strings"
	"sync/atomic"

	"chunkah/format"
)

// pruner decides which paths are left out because of --prune. Its maps record for each clean path
// whether the path was found. Several readers can record this concurrently.
type pruner struct {
	list     []string
	whole    map[string]*atomic.Bool
	contents map[string]*atomic.Bool // directories whose contents are left out
}

func newPruner(list []string) *pruner {
	p := &pruner{list: list, whole: make(map[string]*atomic.Bool), contents: make(map[string]*atomic.Bool)}
	for _, name := range list {
		clean, named := p.parse(name)
		named[clean] = new(atomic.Bool)
	}
	return p
}

// parse returns the clean path in an option, and the map for this path.
func (p *pruner) parse(name string) (clean string, named map[string]*atomic.Bool) {
	if strings.HasSuffix(name, "/") {
		return path.Clean("/" + name), p.contents
	}
	return path.Clean("/" + name), p.whole
}

// prunes reports whether path is left out completely.
func (p *pruner) prunes(path string) bool { return markFound(p.whole, path) }

// empties reports whether the contents of the directory at path are left out.
func (p *pruner) empties(path string) bool { return markFound(p.contents, path) }

func markFound(named map[string]*atomic.Bool, path string) bool {
	met := named[path]
	if met == nil {
		return false
	}
	met.Store(true)
	return true
}

// unmatched returns the options that matched nothing. It omits options below another pruned path,
// because it is unknown whether their paths exist.
func (p *pruner) unmatched() []string {
	var list []string
	for _, name := range p.list {
		if clean, named := p.parse(name); !named[clean].Load() && !p.hidden(clean) {
			list = append(list, name)
		}
	}
	return list
}

func (p *pruner) hidden(path string) bool {
	if wasFound(p.whole, path) {
		return true
	}
	for path != "/" {
		path = format.Parent(path)
		if wasFound(p.whole, path) || wasFound(p.contents, path) {
			return true
		}
	}
	return false
}

func wasFound(named map[string]*atomic.Bool, path string) bool {
	return named[path] != nil && named[path].Load()
}
