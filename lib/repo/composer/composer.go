// Package composer is the component repo of PHP packages that Composer has installed into projects
// anywhere in a tree. A project is the directory above a vendor directory. A vendor directory can
// have any name and is recognised by its composer/installed.json.
//
// # Components
//
// A package of at least places.Least bytes is the component "composer/VENDOR/NAME". A smaller
// package belongs to the top-level package that needs it (see places.Gather). Top-level packages
// are those listed in the project's composer.json, or else those that no other package needs.
// Packages in a second project are "composer/VENDOR/NAME@PROJECT" (see package places).
//
// # Claims
//
// A package owns its programs in vendor/bin and everything in its install-path, except for other
// packages in that directory. Composer 1 does not record the install-path, because it is always
// vendor/VENDOR/NAME. A path that leads out of the project, or contains its vendor directory,
// causes a warning. A link to a directory is a package that is developed in the project, and is
// treated as the project's own code. Composer's own files, vendor/composer and vendor/autoload.php,
// change whenever a package changes. They are "composer/.database".
//
// A damaged installed.json causes a warning, and its packages stay unclaimed.
package composer

import (
	"context"
	"maps"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName  = "composer"
	installed = "/composer/installed.json"
)

// Repo is the composer repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{tree: t, out: places.New(repoName, t)}
	vendors := findVendors(t)
	for _, vendor := range places.Outermost(vendors) { // inner directories are test fixtures in packages
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		p := &project{loader: l, vendor: vendor, dir: format.Parent(vendor), owner: make(map[int]int)}
		if err := p.load(vendors[vendor]); err != nil {
			return nil, err
		}
	}
	return l.out.Result(), nil
}

// findVendors returns the vendor directories with the records of their installed.json.
func findVendors(t *assign.Tree) map[string]int {
	vendors := make(map[string]int)
	for i, f := range t.Files {
		vendor, found := strings.CutSuffix(f.Path, installed)
		if found && vendor != "" && f.Type == format.TypeFile && !t.Claimed(i) {
			vendors[vendor] = i
		}
	}
	return vendors
}

type loader struct {
	tree *assign.Tree
	out  *places.Collector
}

// project is a vendor directory and its packages.
type project struct {
	*loader
	vendor, dir string
	packages    []*pkg
	byName      map[string]int
	// owner maps each record in the packages' directories to its package.
	owner map[int]int
}

// pkg is an installed package.
type pkg struct {
	places.Member
	entry
	path string // physical, empty if the package has no directory
}

// load claims the files of a project. record is its installed.json.
func (p *project) load(record int) error {
	entries, fault, err := places.Parse(p.tree, record, maxInstalled, parseInstalled)
	if err != nil {
		return err
	}
	if fault != nil {
		p.out.Warn("project %q: %v", p.dir, fault)
		return nil
	}
	if err := p.find(entries); err != nil {
		return err
	}
	p.measure()
	asked, err := p.asked()
	if err != nil {
		return err
	}
	places.Gather(p.packages, asked)
	return p.claim(record)
}

// find finds the packages' directories, and the packages that each package needs.
func (p *project) find(entries []entry) error {
	p.byName = make(map[string]int, len(entries))
	for _, e := range entries {
		if _, twice := p.byName[e.Name]; twice {
			continue
		}
		path, err := p.place(e)
		if err != nil {
			return err
		}
		p.byName[e.Name] = len(p.packages)
		p.packages = append(p.packages, &pkg{Member: places.Member{Name: e.Name, Inside: -1}, entry: e, path: path})
	}
	for _, pkg := range p.packages {
		for _, name := range pkg.needs {
			if i, found := p.byName[name]; found {
				pkg.Needs = append(pkg.Needs, i)
			}
		}
	}
	return nil
}

// place returns the physical path of a package, or "" if the package has no directory of its own in
// the project.
func (p *project) place(e entry) (string, error) {
	listed := format.Join(p.vendor, e.Name)
	switch {
	case e.path == "" && e.hasPath:
		return "", nil // it contains no files, only dependencies
	case strings.HasPrefix(e.path, "/"):
		listed = e.path
	case e.hasPath:
		listed = format.Join(p.vendor, "composer/"+e.path)
	}
	i, found, err := p.tree.Find(listed)
	if err != nil || !found || p.tree.Files[i].Type != format.TypeDir {
		return "", err
	}
	path := p.tree.Files[i].Path
	if !format.IsBelow(p.dir, path) || format.IsBelow(path, p.vendor+installed) {
		p.out.Warn("project %q: package %q does not have its own directory there, but is in %.200q",
			p.dir, e.Name, path)
		return "", nil
	}
	return path, nil
}

// measure finds the innermost package that contains each record, and adds up the unclaimed size of
// each package. If several packages share a directory, the first one is used.
func (p *project) measure() {
	byPath := make(map[string]int)
	for i, pkg := range p.packages {
		if _, twice := byPath[pkg.path]; pkg.path != "" && !twice {
			byPath[pkg.path] = i
		}
	}
	paths := slices.SortedFunc(maps.Keys(byPath), format.ComparePaths)
	var around []string // the packages' directories that the record is in
	from, to := p.tree.Below(p.dir)
	for file := from; file < to; file++ {
		f := p.tree.Files[file]
		for len(around) > 0 && !format.IsBelow(around[len(around)-1], f.Path) {
			around = around[:len(around)-1]
		}
		for len(paths) > 0 && (f.Path == paths[0] || format.IsBelow(paths[0], f.Path)) {
			around, paths = append(around, paths[0]), paths[1:]
		}
		if len(around) == 0 {
			continue
		}
		owner := byPath[around[len(around)-1]]
		p.owner[file] = owner
		if f.Type == format.TypeFile && !p.tree.Claimed(file) && p.tree.Links(file)[0] == file {
			p.packages[owner].Size += max(f.Size, 0)
		}
	}
}

// asked returns the packages that the project's composer.json requires.
func (p *project) asked() (asked []int, err error) {
	record, found := p.tree.Lookup(format.Join(p.dir, "composer.json"))
	if !found {
		return nil, nil
	}
	names, fault, err := places.Parse(p.tree, record, maxManifest, parseAsked)
	if err != nil {
		return nil, err
	}
	if fault != nil {
		p.out.Warn("project %q: %v", p.dir, fault)
	}
	for _, name := range names {
		if i, found := p.byName[name]; found {
			asked = append(asked, i)
		}
	}
	return asked, nil
}

// claim claims the packages' files for their components. record is the project's installed.json.
func (p *project) claim(record int) error {
	claimers := make([]*assign.Package, len(p.packages))
	for i, pkg := range p.packages {
		of := p.packages[pkg.Group]
		claimers[i] = p.out.Add(p.dir, of.Member.Name)
		if of != pkg {
			claimers[i] = p.out.AddTo(claimers[i], pkg.Member.Name)
		}
		claimers[i].Type, claimers[i].Version = "composer", format.Text(pkg.version)
		claimers[i].License = format.Text(strings.Join(pkg.licenses, " OR "))
		p.out.Released(claimers[i], record, pkg.released)
	}
	for file, owner := range p.owner {
		p.out.Claim(claimers[owner], file)
	}
	for i, pkg := range p.packages {
		for _, name := range pkg.programs {
			if file, found := p.tree.Lookup(format.Join(p.vendor, "bin/"+format.Base(name))); found {
				p.out.Claim(claimers[i], file)
			}
		}
	}
	from, to := p.tree.Below(format.Join(p.vendor, "composer"))
	for file := from; file < to; file++ {
		if _, owned := p.owner[file]; !owned {
			p.out.Own(file)
		}
	}
	if file, found := p.tree.Lookup(format.Join(p.vendor, "autoload.php")); found {
		p.out.Own(file)
	}
	return nil
}
