// Package python is the component repo of Python distributions: what pip, uv and
// their like have installed into site-packages, dist-packages, virtual
// environments and target directories anywhere in a tree. They are found by their
// own records, which every installer leaves beside the packages:
//
//   - NAME-VERSION.dist-info/, whose RECORD lists the files (PyPA specification
//     "Recording installed projects").
//   - NAME.egg-info, a file or a directory, of setuptools and distutils. The files
//     are those of installed-files.txt, else of SOURCES.txt, else, as where a
//     RECORD is missing, what is below the modules that top_level.txt names and no
//     other distribution lists.
//   - NAME.egg, a directory or a zip file of easy_install: everything in it.
//
// # Components
//
// A component is a distribution, "python/NAME" with the name normalised (PEP 503),
// without its version. The same distribution in another environment is
// "python/NAME@PREFIX" (see package places): an environment is known by its
// prefix, above lib/pythonX.Y, so that a new Python does not rename anything.
//
// # Claims
//
// Listed paths are relative to where the record is, may have ".." in them or be
// absolute, and are resolved inside the tree. What is listed and not there was
// removed on purpose. What lies in a record's own directory is the distribution's
// too; what else is not listed, caches and the like, is nobody's. A file that two
// distributions list goes to the outer one, then the first by path. Records that
// another distribution lists are of copies that it carries along (setuptools/_vendor),
// and mean nothing. Where all of a record is claimed already the distribution
// came in a system package: it is left alone.
//
// A compiled cache goes with its source, whoever has that: __pycache__/x.*.pyc and
// x.pyc with x.py.
//
// # Damage
//
// A RECORD that is missing is a warning, and so is a line that makes no sense; the
// other lines count. A file that cannot be read is an error.
package python

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

// Repo is the python repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return "python" }

// Load implements assign.Repo.
func (r Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{tree: t, out: places.New(r.Name(), t), owner: make(map[int]int), named: make(map[string]bool)}
	dists := find(t)
	slices.SortFunc(dists, func(a, b *dist) int {
		return cmp.Or(cmp.Compare(strings.Count(a.info, "/"), strings.Count(b.info, "/")), format.ComparePaths(a.info, b.info))
	})
	for _, d := range dists {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := l.list(d); err != nil {
			return nil, err
		}
	}
	for _, m := range l.modules {
		l.claimModule(m)
	}
	result := l.out.Result()
	if follows := l.follows(); len(follows) > 0 {
		if result == nil {
			result = &assign.Result{}
		}
		result.Follows = follows
	}
	return result, context.Cause(ctx)
}

// loader collects the claims of all distributions.
type loader struct {
	tree    *assign.Tree
	out     *places.Collector
	owner   map[int]int // record -> number of the distribution that has it
	modules []module
	named   map[string]bool // the modules' paths
}

// module is a top-level module of a distribution that does not list its files.
type module struct {
	dist int
	path string
}

// claim gives a record to a distribution, unless another one was first.
func (l *loader) claim(dist, file int) {
	if _, taken := l.owner[file]; !taken {
		l.owner[file] = dist
		l.out.Claim(dist, file)
	}
}

// claimBelow gives everything in a directory to a distribution.
func (l *loader) claimBelow(dist int, dir string) {
	from, to := places.Below(l.tree, dir)
	for i := from; i < to; i++ {
		l.claim(dist, i)
	}
}

// claimPath gives what is at a listed path to a distribution.
func (l *loader) claimPath(dist int, path string) {
	if i, found := l.tree.Find(path); found && l.tree.Files[i].Type != format.TypeDir {
		l.claim(dist, i)
	}
}

// list claims what a distribution lists.
func (l *loader) list(d *dist) error {
	if _, carried := l.owner[d.marker]; carried || d.owned(l.tree) {
		return nil
	}
	number := l.out.Add(d.prefix(), d.name)
	l.claim(number, d.marker)
	if d.kind != eggFile && d.kind != eggInfoFile {
		l.claimBelow(number, d.info)
	}
	switch d.kind {
	case distInfo:
		return l.listRecord(d, number)
	case eggInfo:
		return l.listEggInfo(d, number)
	}
	return nil
}

// claimModule claims the files of a module: its directory, its one file, or its
// shared object. Other distributions may have files in it that they list.
func (l *loader) claimModule(m module) {
	l.claimBelow(m.dist, m.path)
	from, _ := places.Below(l.tree, m.path)
	for i := from; i < len(l.tree.Files); i++ {
		rest, found := strings.CutPrefix(l.tree.Files[i].Path, m.path)
		if !found {
			return
		}
		if rest == ".py" || isExtension(rest) {
			l.claim(m.dist, i)
		}
	}
}

// isExtension reports whether rest is what follows a module's name in that of its
// shared object, as in ".cpython-311-x86_64-linux-gnu.so".
func isExtension(rest string) bool {
	return rest[0] == '.' && strings.HasSuffix(rest, ".so") && !strings.Contains(rest, "/")
}
