package dpkg

import (
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

// alternatives is the directory of update-alternatives. It contains a link for each alternative,
// and links elsewhere lead to these links.
const alternatives = "/etc/alternatives"

// claimAlternatives claims the links of update-alternatives.
func (l *loader) claimAlternatives() error {
	dir, found, err := pkgdb.Resolve(l.db.root, alternatives)
	if err != nil || !found {
		return err // if the directory is missing, no link can lead into it
	}
	var links *assign.Package
	for i, f := range l.tree.Files {
		if f.Type != format.TypeSymlink || !strings.HasPrefix(f.Path, dir+"/") && !isAlternative(f) {
			continue
		}
		if links == nil {
			links = l.out.Component(altName)
			links.Component.IntervalDays = altInterval
			l.out.Clamp(links, 0)
		}
		l.out.ClaimSecond(links, i)
	}
	return nil
}

func isAlternative(f *format.File) bool {
	return strings.HasPrefix(f.Target, alternatives+"/") && pkgdb.IsMade(f.Path)
}

// generated maps a package to files that its scripts generate only from the package's own files. It
// does not list caches that are generated from many packages.
var generated = map[string]string{
	"/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
	"/etc/ca-certificates.conf":          "ca-certificates",
}

func (l *loader) claimGenerated() error {
	for path, name := range generated {
		p := l.packages[name]
		i, ok, err := l.tree.Find(path)
		if err != nil {
			return err
		}
		if ok && p != nil && l.tree.Files[i].Type == format.TypeFile {
			l.out.ClaimSecond(p, i)
		}
	}
	return nil
}
