// Package yarn is the component repo of Node.js packages that Yarn has installed for Plug'n'Play.
// Zipped packages are in a cache: PROJECT/.yarn/cache/*.zip, or .yarn/berry/cache if projects share
// a cache. Unpacked packages are in PROJECT/.yarn/unplugged. The node repo finds packages that Yarn
// has installed into node_modules.
//
// # Components
//
// A package is named after its entry in the project's yarn.lock, or else after its file. A package
// of at least places.Least bytes is the component "yarn/NAME". A smaller package belongs to the
// project's direct dependency that needs it, according to yarn.lock (see places.Gather). If
// yarn.lock is missing, each package is its own component. All versions of a package in one project
// are one component. In a second project, they are "yarn/NAME@PROJECT" (see package places).
//
// Yarn's own files (.pnp.cjs, yarn.lock and the installation state) change whenever a package
// changes. They are "yarn/.database". The rest of a project is its own code.
//
// A yarn.lock that cannot be read causes a warning.
package yarn

import (
	"context"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName  = "yarn"
	cache     = "/.yarn/cache/"
	shared    = "/.yarn/berry/cache/"
	unplugged = "/.yarn/unplugged/"
	lockName  = "yarn.lock"
	pnpName   = ".pnp.cjs"
)

// ownFiles are the files in a project that belong to no package.
var ownFiles = []string{
	pnpName, ".pnp.loader.mjs", ".pnp.data.json", lockName,
	".yarn/install-state.gz", ".yarn/build-state.yml", ".yarn/cache/.gitignore",
}

// Repo is the yarn repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{tree: t, out: places.New(repoName, t), projects: make(map[string]*project)}
	for i, f := range t.Files {
		if f.Type != format.TypeDir && !t.Claimed(i) {
			l.find(i)
		}
	}
	for _, p := range l.order {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := l.claim(p); err != nil {
			return nil, err
		}
	}
	return l.out.Result(), nil
}

type loader struct {
	tree     *assign.Tree
	out      *places.Collector
	projects map[string]*project // by directory
	order    []*project          // by the paths of their first files
	played   []string            // directories with a .pnp.cjs
}

// project is a directory with packages, or the directory that contains a cache shared by projects.
type project struct {
	dir      string
	isShared bool
	packages []*pkg
	bySlug   map[string]*pkg // by the slug in the file or directory name
}

// pkg is a package in one version.
type pkg struct {
	places.Member
	slug    string // NAME-npm-VERSION, with a dash in place of the slash after a scope
	records []int
}

// find adds a record to its package.
func (l *loader) find(i int) {
	path := l.tree.Files[i].Path
	if format.Base(path) == pnpName {
		l.played = append(l.played, format.Parent(path))
	}
	if !strings.Contains(path, "/.yarn/") {
		return // true of most paths
	}
	for _, place := range []string{cache, shared, unplugged} {
		dir, name, found := strings.Cut(path, place)
		if !found {
			continue
		}
		hashes := 1 // the package's hash; the name of a zip file also contains the hash of its contents
		if place == unplugged {
			name, _, found = strings.Cut(name, "/")
		} else {
			hashes = 2
			name, found = strings.CutSuffix(name, ".zip")
		}
		if slug := withoutHashes(name, hashes); found && slug != "" && !strings.Contains(name, "/") {
			l.add(dir, place == shared, slug, i)
		}
		return
	}
}

// withoutHashes removes the hashes from the file name of a package. It returns "" if the name
// contains too few hashes.
func withoutHashes(name string, hashes int) string {
	for range hashes {
		name = name[:max(strings.LastIndexByte(name, '-'), 0)]
	}
	return name
}

func (l *loader) add(dir string, isShared bool, slug string, record int) {
	p := l.projects[dir]
	if p == nil {
		p = &project{dir: dir, bySlug: make(map[string]*pkg)}
		l.projects[dir] = p
		l.order = append(l.order, p)
	}
	p.isShared = p.isShared || isShared
	of := p.bySlug[slug]
	if of == nil {
		of = &pkg{Member: places.Member{Name: nameOf(slug), Inside: -1}, slug: slug}
		p.bySlug[slug] = of
		p.packages = append(p.packages, of)
	}
	of.records = append(of.records, record)
	of.Size += max(l.tree.Files[record].Size, 0)
}

// claim claims the packages of a project.
func (l *loader) claim(p *project) error {
	asked, err := l.readLocks(p)
	if err != nil {
		return err
	}
	places.Gather(p.packages, asked)
	place := p.dir
	if place == "" {
		place = "/"
	}
	for _, pkg := range p.packages {
		of := p.packages[pkg.Group]
		claimer := l.out.AddTo(l.out.Component(place, of.Name), pkg.Name)
		if _, version, found := strings.Cut(pkg.slug, "-npm-"); found {
			claimer.Type, claimer.Version = "npm", format.Text(version)
		}
		for _, record := range pkg.records {
			l.out.Claim(claimer, record)
		}
	}
	for _, name := range ownFiles {
		if i, found := l.tree.Lookup(format.Join(p.dir, name)); found {
			l.out.Own(i)
		}
	}
	return nil
}

// readLocks reads the project's yarn.lock or, for a shared cache, the yarn.lock files of all
// projects. It sets the names and needs of packages, and returns the packages that the projects
// require.
func (l *loader) readLocks(p *project) (asked []int, err error) {
	dirs := []string{p.dir}
	if p.isShared {
		dirs = l.played
	}
	locked := newLock()
	for _, dir := range dirs {
		record, found := l.tree.Lookup(format.Join(dir, lockName))
		if !found {
			continue
		}
		_, fault, err := places.Parse(l.tree, record, maxLock, func(raw []byte) (*lock, error) { return locked, locked.parse(raw) })
		if err != nil {
			return nil, err
		}
		if fault != nil {
			l.out.Warn("project %q: %v", dir, fault)
		}
	}
	return p.apply(locked), nil
}

// apply sets the names and needs of packages from a lock. It returns the packages that the project
// requires.
func (p *project) apply(locked *lock) (asked []int) {
	at := make(map[*entry]int)
	for i, pkg := range p.packages {
		if e := locked.bySlug[pkg.slug]; e != nil {
			pkg.Name = e.name
			at[e] = i
		}
	}
	needs := func(e *entry) (list []int) {
		for _, need := range e.needs {
			if of := locked.find(need); of != nil {
				if i, found := at[of]; found {
					list = append(list, i)
				}
			}
		}
		return list
	}
	for e, i := range at {
		p.packages[i].Needs = needs(e)
	}
	for _, e := range locked.workspaces {
		asked = append(asked, needs(e)...)
	}
	return asked
}

// nameOf returns the package name in a slug: "@scope/name" for "@scope-name-npm-1.0.0".
func nameOf(slug string) string {
	name := slug
	if cut := strings.LastIndex(slug, "-npm-"); cut > 0 {
		name = slug[:cut]
	}
	if strings.HasPrefix(name, "@") {
		return strings.Replace(name, "-", "/", 1)
	}
	return name
}
