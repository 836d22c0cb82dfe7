package python

import (
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// kind is the form of a distribution's record.
type kind int

const (
	distInfo    kind = iota // NAME.dist-info/
	eggInfo                 // NAME.egg-info/
	eggInfoFile             // NAME.egg-info
	eggDir                  // NAME.egg/
	eggFile                 // NAME.egg
)

// forms lists the suffixes of record directories. Each comes with a marker: a file that proves that
// the directory is a record.
var forms = []struct {
	kind    kind
	suffix  string
	markers []string
}{
	{distInfo, ".dist-info", []string{"METADATA", "RECORD"}},
	{eggInfo, ".egg-info", []string{"PKG-INFO"}},
	{eggDir, ".egg", []string{"EGG-INFO/PKG-INFO"}},
}

// markerNames are the last path elements of all markers. They rule out most paths quickly.
var markerNames = []string{"METADATA", "RECORD", "PKG-INFO"}

// dist is one distribution in one place.
type dist struct {
	kind kind
	// name is the normalised name.
	name string
	// info is the record's path. site is the directory that contains the record.
	info, site string
	// marker is the index of the file that proves that this is a record.
	marker int
}

// find returns the tree's distributions, each once. It ignores records inside other records.
func find(t *assign.Tree) []*dist {
	var dists []*dist
	last := "" // directory of the previous distribution
	for i, f := range t.Files {
		if f.Type != format.TypeFile {
			continue
		}
		d := findDir(f.Path, i)
		if d == nil {
			d = findFile(f.Path, i)
		}
		if d == nil || d.info == last {
			continue
		}
		last = d.info
		if d.name != "" {
			dists = append(dists, d)
		}
	}
	return dists
}

// findDir returns the distribution if path is a record's directory.
func findDir(path string, i int) *dist {
	if !slices.Contains(markerNames, format.Base(path)) {
		return nil
	}
	for _, form := range forms {
		dir, below, found := strings.Cut(path, form.suffix+"/")
		if !found {
			continue
		}
		if slices.Contains(form.markers, below) {
			return newDist(form.kind, dir+form.suffix, form.suffix, i)
		}
		return nil
	}
	return nil
}

func findFile(path string, i int) *dist {
	switch {
	case strings.HasSuffix(path, ".egg-info"):
		return newDist(eggInfoFile, path, ".egg-info", i)
	case strings.HasSuffix(path, ".egg") && strings.HasSuffix(path, "-packages/"+format.Base(path)):
		return newDist(eggFile, path, ".egg", i)
	}
	return nil
}

func newDist(kind kind, info, suffix string, marker int) *dist {
	stem := strings.TrimSuffix(format.Base(info), suffix)
	return &dist{kind: kind, name: distName(kind, stem), info: info, site: format.Parent(info), marker: marker}
}

// distName returns NAME from NAME-VERSION or NAME-VERSION-pyX.Y. Dashes in a name are written as
// underscores, but old wheel installers kept the dashes. While pip removes a distribution, its name
// begins with a tilde. distName then returns "".
func distName(kind kind, stem string) string {
	name := stem
	cut := strings.IndexByte(stem, '-')
	if kind == distInfo {
		cut = strings.LastIndexByte(stem, '-')
	}
	if cut >= 0 {
		name = stem[:cut]
	}
	if strings.HasPrefix(name, "~") {
		return ""
	}
	return normalise(name)
}

// normalise returns a name in PEP 503's form.
func normalise(name string) string {
	var b strings.Builder
	sep := false
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '-' || c == '_' || c == '.':
			sep = true
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
			fallthrough
		default:
			if sep && b.Len() > 0 {
				b.WriteByte('-')
			}
			sep = false
			b.WriteByte(c)
		}
	}
	return b.String()
}

// owned reports whether all files of the record are claimed.
func (d *dist) owned(t *assign.Tree) bool {
	if !t.Claimed(d.marker) {
		return false
	}
	from, to := t.Below(d.info)
	for i := from; i < to; i++ {
		if t.Files[i].Type != format.TypeDir && !t.Claimed(i) {
			return false
		}
	}
	return true
}

// prefix returns the environment's prefix: the directory above lib/pythonX.Y, or the record's
// directory if the path contains no lib/pythonX.Y.
func (d *dist) prefix() string {
	above, name := format.Parent(d.site), format.Base(d.site)
	if name != "site-packages" && name != "dist-packages" {
		return d.site
	}
	if name = format.Base(above); strings.HasPrefix(name, "python") || strings.HasPrefix(name, "pypy") {
		above = format.Parent(above)
	}
	if name = format.Base(above); name == "lib" || name == "lib64" {
		above = format.Parent(above)
	}
	return above
}
