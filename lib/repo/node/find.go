package node

import (
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/repo/places"
)

// find looks for packages in the records.
func (l *loader) find() {
	for i, f := range l.tree.Files {
		cut := strings.LastIndexByte(f.Path, '/')
		if f.Path[cut+1:] != "package.json" || f.Type == format.TypeDir {
			continue
		}
		if project, name, ok := split(f.Path[:cut]); ok {
			l.packages = append(l.packages, &pkg{Member: places.Member{Name: name, Inside: -1}, dir: f.Path[:cut], manifest: i})
			l.has[project] = true
		}
	}
	slices.SortFunc(l.packages, func(a, b *pkg) int { return format.ComparePaths(a.dir, b.dir) })
	for i, p := range l.packages {
		l.byDir[p.dir] = i
	}
}

// findProjects looks for the directories for which packages are installed: directories that contain
// a node_modules directory, and workspaces, to which links in node_modules lead.
func (l *loader) findProjects() error {
	workspaces := make(map[string]bool)
	for i, f := range l.tree.Files {
		if f.Type != format.TypeSymlink {
			continue
		}
		project, _, ok := split(f.Path)
		if !ok {
			continue
		}
		l.has[project] = true
		target, found, err := l.tree.Target(i)
		if err != nil {
			return err
		}
		if found {
			dir := l.tree.Files[target].Path
			workspaces[dir] = true
			if pkg, found := l.byDir[dir]; found {
				l.links[f.Path] = pkg
			}
		}
	}
	for _, dirs := range []map[string]bool{l.has, workspaces} {
		for dir := range dirs {
			if !strings.Contains(dir+"/", "/"+modules+"/") {
				l.projects = append(l.projects, dir)
			}
		}
	}
	slices.SortFunc(l.projects, format.ComparePaths)
	l.projects = slices.Compact(l.projects)
	return nil
}

// split splits a package's directory into the directory that contains the node_modules, which is
// "/" for the root, and the package's name.
func split(dir string) (project, name string, ok bool) {
	above := format.Parent(dir)
	name = format.Base(dir)
	if scope := format.Base(above); strings.HasPrefix(scope, "@") {
		above = format.Parent(above)
		name = scope + "/" + name
	}
	if format.Base(above) != modules || name == "" || name[0] == '.' {
		return "", "", false
	}
	return format.Parent(above), name, true
}

// measure finds each record's innermost package, and adds up the unclaimed size of each package.
func (l *loader) measure() {
	l.owner = make([]int32, len(l.tree.Files))
	counted := make(map[int64]bool)
	at, next := -1, 0 // the indexes of the current and the next package
	for i, f := range l.tree.Files {
		l.owner[i] = -1
		for at >= 0 && f.Path != l.packages[at].dir && !format.IsBelow(l.packages[at].dir, f.Path) {
			at = l.packages[at].Inside
		}
		for next < len(l.packages) && (f.Path == l.packages[next].dir || format.IsBelow(l.packages[next].dir, f.Path)) {
			l.packages[next].Inside = at
			at = next
			next++
		}
		if at < 0 {
			continue
		}
		l.owner[i] = int32(at)
		if f.Type == format.TypeFile && !l.tree.Claimed(i) && !counted[f.Hardlink] {
			l.packages[at].Size += max(f.Size, 0)
		}
		if f.Hardlink != 0 {
			counted[f.Hardlink] = true
		}
	}
}
