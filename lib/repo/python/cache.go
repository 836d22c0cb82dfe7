package python

import (
	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

// follows pairs unclaimed compiled caches with their sources. If a source is a link, the cache
// follows the link.
func (l *loader) follows() (list []assign.Follow) {
	for i, f := range l.tree.Files {
		if f.Type != format.TypeFile || l.tree.Claimed(i) {
			continue
		}
		if source, found := pkgdb.PythonSource(l.tree, f.Path); found && l.tree.Files[source].Type != format.TypeDir {
			list = append(list, assign.Follow{File: i, Source: source})
		}
	}
	return list
}
