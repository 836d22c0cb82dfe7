package dpkg

import (
	"strings"

	"chunkah/format"
	"chunkah/lib/repo/pkgdb"
)

// alternatives is where update-alternatives keeps what was chosen: a link for each
// name, to which the names that people use are links.
const alternatives = "/etc/alternatives"

// claimAlternatives claims the links of update-alternatives.
func (l *loader) claimAlternatives() {
	dir, found, err := pkgdb.Resolve(l.db.root, alternatives)
	if err != nil || !found {
		return // then nothing leads there either
	}
	comp := -1
	for i, f := range l.tree.Files {
		if f.Type != format.TypeSymlink || !strings.HasPrefix(f.Path, dir+"/") && !isAlternative(f) {
			continue
		}
		if comp < 0 {
			comp = l.out.Component(altName)
			l.out.Clamp(comp, 0)
			l.out.Interval(comp, altInterval)
		}
		l.out.ClaimSecond(comp, i)
	}
}

func isAlternative(f *format.File) bool {
	return strings.HasPrefix(f.Target, alternatives+"/") && pkgdb.IsMade(f.Path)
}

// generated are files that one package's scripts make of its own files, by the
// package: unlike caches, which are made of everybody's.
var generated = map[string]string{
	"/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
	"/etc/ca-certificates.conf":          "ca-certificates",
}

func (l *loader) claimGenerated() {
	for path, name := range generated {
		comp, installed := l.comps[name]
		if i, ok := l.tree.Find(path); ok && installed && l.tree.Files[i].Type == format.TypeFile {
			l.out.ClaimSecond(comp, i)
		}
	}
}
