// Package python is the component repo of Python distributions that pip, uv and similar tools have
// installed into site-packages, dist-packages, virtual environments and target directories anywhere
// in a tree. The repo finds them by the records that every installer writes beside the packages:
//
//   - NAME-VERSION.dist-info/ with RECORD, which lists the files (PyPA specification
//     "Recording installed projects").
//   - NAME.egg-info, a file or a directory, from setuptools and distutils. The distribution's files
//     are listed in installed-files.txt or else in SOURCES.txt. If both are missing, or if a RECORD
//     is missing, the distribution owns the files below the modules in top_level.txt that no other
//     distribution lists.
//   - NAME.egg, a directory or a zip file from easy_install. The distribution owns everything in
//     it.
//
// # Components
//
// A component is a distribution, "python/NAME", with the normalised name (PEP 503) and without the
// version. The same distribution in another environment is "python/NAME@PREFIX" (see package
// places). An environment is identified by its prefix, the directory above lib/pythonX.Y, so that a
// new Python version does not rename anything.
//
// A Python that was built from source is "python/cpython-X.Y", which contains its library, headers
// and programs. If the name of the Python's prefix contains the version, as with pyenv and uv,
// everything in the prefix that belongs to no distribution belongs to the interpreter.
//
// # Claims
//
// Listed paths are absolute or relative to the record, can contain "..", and are resolved inside
// the tree. If a listed file is missing, the repo assumes that it was removed on purpose. Files in
// the record's directory belong to the distribution too. Other files that are not listed, such as
// caches, are not claimed. A file that two distributions list belongs to the outer distribution, or
// else to the first by path. A record that another distribution lists describes a vendored copy
// (setuptools/_vendor) and is ignored. If all files of a record are already claimed, the
// distribution is part of a system package and is ignored.
//
// A compiled cache belongs to the package that owns its source: __pycache__/x.*.pyc and x.pyc
// belong to the owner of x.py.
//
// # Damage
//
// A missing RECORD causes a warning. An invalid line causes a warning too, but the other lines are
// still used. A file that cannot be read is an error.
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
	l := &loader{tree: t, out: places.New(r.Name(), t), owned: make(map[int]bool), named: make(map[string]bool)}
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
	for _, in := range findInterpreters(t) {
		l.claimInterpreter(in)
	}
	result, follows := l.out.Result(), l.follows()
	if result == nil && len(follows) > 0 {
		result = &assign.Result{}
	}
	if result != nil {
		result.Follows = follows
	}
	return result, context.Cause(ctx)
}

// loader collects the claims of all distributions.
type loader struct {
	tree    *assign.Tree
	out     *places.Collector
	owned   map[int]bool // records that a distribution owns
	modules []module
	named   map[string]bool // paths of the modules
}

// module is a top-level module of a distribution that does not list its files.
type module struct {
	pkg  *assign.Package
	path string
}

// claim claims a record for a distribution, unless another distribution has claimed it.
func (l *loader) claim(p *assign.Package, file int) {
	if !l.owned[file] {
		l.owned[file] = true
		l.out.Claim(p, file)
	}
}

// claimBelow claims everything in a directory for a distribution.
func (l *loader) claimBelow(p *assign.Package, dir string) {
	from, to := l.tree.Below(dir)
	for i := from; i < to; i++ {
		l.claim(p, i)
	}
}

// claimPath claims the file at a listed path for a distribution.
func (l *loader) claimPath(p *assign.Package, path string) error {
	i, found, err := l.tree.Find(path)
	if found && l.tree.Files[i].Type != format.TypeDir {
		l.claim(p, i)
	}
	return err
}

// list claims the files that a distribution lists.
func (l *loader) list(d *dist) error {
	if l.owned[d.marker] || d.owned(l.tree) {
		return nil
	}
	p := l.out.AddVersion(d.prefix(), d.name)
	if err := l.describe(d, p); err != nil {
		return err
	}
	l.claim(p, d.marker)
	if d.kind != eggFile && d.kind != eggInfoFile {
		l.claimBelow(p, d.info)
	}
	switch d.kind {
	case distInfo:
		return l.listRecord(d, p)
	case eggInfo:
		return l.listEggInfo(d, p)
	}
	return nil
}

// claimModule claims the files of a module: its directory, its file or its shared object. It leaves
// out files in the module's directory that other distributions list.
func (l *loader) claimModule(m module) {
	l.claimBelow(m.pkg, m.path)
	from, _ := l.tree.Below(m.path)
	for i := from; i < len(l.tree.Files); i++ {
		rest, found := strings.CutPrefix(l.tree.Files[i].Path, m.path)
		if !found {
			return
		}
		if rest == ".py" || isExtension(rest) {
			l.claim(m.pkg, i)
		}
	}
}

// isExtension reports whether rest can follow the module's name in the name of a shared object, for
// example ".cpython-311-x86_64-linux-gnu.so".
func isExtension(rest string) bool {
	return rest[0] == '.' && strings.HasSuffix(rest, ".so") && !strings.Contains(rest, "/")
}
