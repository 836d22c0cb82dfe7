package python

import (
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// follows pairs the compiled caches that nobody has with their sources.
func (l *loader) follows() (list []assign.Follow) {
	for i, f := range l.tree.Files {
		if f.Type != format.TypeFile || !isCache(f.Path) || l.tree.Claimed(i) {
			continue
		}
		if source, found := l.source(f.Path); found {
			list = append(list, assign.Follow{File: i, Source: source})
		}
	}
	return list
}

func isCache(path string) bool {
	return strings.HasSuffix(path, ".pyc") || strings.HasSuffix(path, ".pyo")
}

// source returns the record of what a cache was compiled from: of
// DIR/__pycache__/NAME.TAG.pyc, where a tag may have dots, or of DIR/NAME.pyc it
// is DIR/NAME.py.
func (l *loader) source(path string) (int, bool) {
	cut := strings.LastIndexByte(path, '/')
	dir, name := path[:cut], path[cut+1:]
	above, inCache := strings.CutSuffix(dir, "/__pycache__")
	if !inCache {
		return l.lookupSource(path[:len(path)-1])
	}
	name = name[:len(name)-len(".pyc")]
	for {
		dot := strings.LastIndexByte(name, '.')
		if dot <= 0 {
			return 0, false
		}
		name = name[:dot]
		if i, found := l.lookupSource(above + "/" + name + ".py"); found {
			return i, true
		}
	}
}

// lookupSource looks for a source, which may be a link to one: what has the link
// has the cache.
func (l *loader) lookupSource(path string) (int, bool) {
	i, found := l.tree.Lookup(path)
	if !found || l.tree.Files[i].Type == format.TypeDir {
		return 0, false
	}
	return i, true
}
