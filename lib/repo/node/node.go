// Package node is the component repo of Node.js packages. A package is a directory, anywhere in a
// tree, that contains a package.json and lies directly in a node_modules directory or in a scope
// (node_modules/@scope/name). This covers npm, Yarn's node_modules and pnpm's store
// (node_modules/.pnpm).
//
// # Components
//
// A package is named after its directory, because imports use that name. So a package that was
// installed under an alias is named after the alias. A project is the directory that contains the
// outermost node_modules. All versions of a package in one project are one package. The same
// package in a second project is "node/NAME@PROJECT" (see package places).
//
// A package of at least Least bytes is the component "node/NAME". A typical tree contains a
// thousand smaller packages. They belong to the top-level dependency that needs them:
// "node/express" contains express and the packages that only express needs. Each package's own
// package.json lists what the package needs, and the project's package.json lists the top-level
// dependencies. Lock files contain no further information, and images rarely contain lock files.
//
// A package that several top-level dependencies need belongs to the dependency that is the fewest
// steps away. If several are equally near, it belongs to the first of them by name. If a project
// lists no dependencies, the packages that no other package needs are top-level. A package that
// lies inside another package and that no package needs (a test fixture) belongs to the outer
// package.
//
// # Claims
//
// Everything in a package's directory belongs to it, except for the packages in its node_modules.
// So do links in bin and .bin directories that lead to the package. The package managers' own files
// in node_modules change whenever a package changes. They are "node/.database", which is expected
// to change daily.
//
// An invalid package.json causes a warning, and the package is treated as needing no other
// packages.
package node

import (
	"context"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const modules = "node_modules"

// ownFiles are the files of npm, Yarn and pnpm in a project's node_modules that belong to no
// package.
var ownFiles = []string{
	".package-lock.json", ".yarn-integrity", ".yarn-state.yml", ".modules.yaml",
	".pnpm-workspace-state.json", ".pnpm-workspace-state-v1.json", ".pnpm/lock.yaml",
}

// Repo is the node repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return "node" }

// Load implements assign.Repo.
func (r Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{tree: t, out: places.New(r.Name(), t), byDir: make(map[string]int), links: make(map[string]int), has: make(map[string]bool)}
	l.find()
	if len(l.packages) == 0 {
		return nil, nil
	}
	if err := l.findProjects(); err != nil {
		return nil, err
	}
	l.measure()
	if err := l.readNeeds(ctx); err != nil {
		return nil, err
	}
	if err := l.gather(); err != nil {
		return nil, err
	}
	if err := l.claim(); err != nil {
		return nil, err
	}
	return l.out.Result(), context.Cause(ctx)
}

// loader collects the packages of a tree.
type loader struct {
	tree     *assign.Tree
	out      *places.Collector
	packages []*pkg          // by path
	needs    [][]string      // by package: sorted names of the packages that it needs
	byDir    map[string]int  // physical directory -> package
	links    map[string]int  // link in a node_modules -> package
	projects []string        // directories, outside packages, for which packages are installed; sorted by path
	has      map[string]bool // directories with a node_modules that is not empty
	owner    []int32         // by record: index of its package, -1 for none
}

// pkg is one package in one directory.
type pkg struct {
	places.Member
	dir      string
	manifest int // the record of its package.json
	said     about
}

// project returns the directory that contains the package's outermost node_modules.
func (p *pkg) project() string {
	above, _, _ := strings.Cut(p.dir, "/"+modules+"/")
	if above == "" {
		return "/"
	}
	return above
}

// claim claims the packages' files for their components.
func (l *loader) claim() error {
	pkgs := make([]*assign.Package, len(l.packages))
	for i, p := range l.packages {
		of := l.packages[p.Group]
		pkgs[i] = l.out.AddTo(l.out.Component(of.project(), of.Name), p.Name)
		pkgs[i].Type, pkgs[i].Version, pkgs[i].License = "npm", p.said.Version, p.said.License
		if p.said.Name != "" {
			pkgs[i].Name = p.said.Name // the directory's name can be the project's alias
		}
	}
	for i := range l.tree.Files {
		owner := int(l.owner[i])
		if owner < 0 {
			var err error
			if owner, err = l.linked(i); err != nil {
				return err
			}
		}
		if owner >= 0 {
			l.out.Claim(pkgs[owner], i)
		} else if l.isOwn(i) {
			l.out.Own(i)
		}
	}
	return nil
}

// linked returns the package that contains the program to which symlink i leads, or -1 if no
// package contains it.
func (l *loader) linked(i int) (int, error) {
	f := l.tree.Files[i]
	if f.Type != format.TypeSymlink || l.tree.Claimed(i) {
		return -1, nil
	}
	if dir := format.Base(format.Parent(f.Path)); dir != ".bin" && dir != "bin" {
		return -1, nil
	}
	target, found, err := l.tree.Target(i)
	if !found {
		return -1, err
	}
	return int(l.owner[target]), nil
}

func (l *loader) isOwn(i int) bool {
	f := l.tree.Files[i]
	_, name, found := strings.Cut(f.Path, "/"+modules+"/")
	return found && f.Type == format.TypeFile && slices.Contains(ownFiles, name)
}
