// Package places collects the claims of the language repos. Their packages are not in one database
// but in many places: environments, gem homes, projects. A tree can have the same package in
// several of them.
//
// A package's component is REPO/NAME in the first place that contains it, in path order, and
// REPO/NAME@PLACE in the others, because copies in two places are updated at different times. A
// place is ignored if all files of the package there are already claimed, so that a copy in a
// system package does not change component names.
//
// Directories are claimed only if they are empty. Other directories are written along with their
// files. Components have no mtime clamp. Without a clamp, the newest mtime of the component's own
// files applies, which is the best known limit.
package places

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

const (
	// ownName is the component of the package managers' own files. No package can have this name.
	// ownInterval is the number of days between updates of this component. It is 1, because every
	// build changes the component.
	ownName     = ".database"
	ownInterval = 1
)

// maxWarnings is the largest number of warnings from one repo. The last warning contains the number
// of omitted warnings.
const maxWarnings = 100

// Collector turns packages and their files into a result, which does not depend on the order of the
// packages. Use New to create one.
type Collector struct {
	tree       *assign.Tree
	repo       string
	byKey      map[key]*assign.Package
	packages   []*assign.Package
	claims     []assign.Claim
	warnings   []string
	suppressed int // warnings beyond the limit
}

type key struct{ name, place string }

// New creates a collector for a repo.
func New(repo string, t *assign.Tree) *Collector {
	return &Collector{tree: t, repo: repo, byKey: make(map[key]*assign.Package)}
}

// Component returns a package that represents a whole component in a place. Result completes the
// component's name.
func (c *Collector) Component(place, name string) *assign.Package {
	k := key{format.Text(name), place}
	p := c.byKey[k]
	if p == nil {
		p = &assign.Package{Component: &format.Component{}}
		c.byKey[k] = p
	}
	return p
}

// Add returns the package with a name in a place. Its component has the same name.
func (c *Collector) Add(place, name string) *assign.Package {
	p := c.Component(place, name)
	if p.Name == "" {
		p.Name = format.Text(name)
		c.packages = append(c.packages, p)
	}
	return p
}

// AddVersion adds one of several versions of a package in a place. All these versions share a
// component.
func (c *Collector) AddVersion(place, name string) *assign.Package {
	return c.AddTo(c.Component(place, name), name)
}

// AddTo adds another package to the component of package p.
func (c *Collector) AddTo(p *assign.Package, name string) *assign.Package {
	more := &assign.Package{Name: format.Text(name), Component: p.Component}
	c.packages = append(c.packages, more)
	return more
}

// Own claims a file for REPO/.database, the component of the package managers themselves, unless a
// package claims the file or it is a directory.
func (c *Collector) Own(file int) {
	if c.tree.Files[file].Type == format.TypeDir {
		return
	}
	database := c.Component("/", ownName)
	database.Component.IntervalDays = ownInterval
	c.Claim(database, file)
}

// Claim claims a file for a package, unless the file is already claimed or is a directory that is
// not empty.
func (c *Collector) Claim(p *assign.Package, file int) {
	if c.tree.Claimed(file) || c.tree.Holds(file) {
		return
	}
	c.claims = append(c.claims, assign.Claim{File: file, Package: p})
}

// ClaimBelow claims everything below a physical directory for a package.
func (c *Collector) ClaimBelow(p *assign.Package, dir string) {
	from, to := c.tree.Below(dir)
	for i := from; i < to; i++ {
		c.Claim(p, i)
	}
}

// Warn adds a warning that begins with the repo's name.
func (c *Collector) Warn(format string, args ...any) {
	if len(c.warnings) == maxWarnings {
		c.suppressed++
		return
	}
	c.warnings = append(c.warnings, c.repo+": "+fmt.Sprintf(format, args...))
}

// Result returns the claims, or nil if there are no claims. It contains only packages with files.
func (c *Collector) Result() *assign.Result {
	r := &assign.Result{Claims: c.claims, Warnings: c.warnings}
	if c.suppressed > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: and %d more warnings", c.repo, c.suppressed))
	}
	owning := make(map[*assign.Package]bool)
	used := make(map[*format.Component]bool)
	for _, claim := range c.claims {
		owning[claim.Package], used[claim.Package.Component] = true, true
	}
	for _, p := range c.packages {
		if owning[p] {
			r.Packages = append(r.Packages, p)
		}
	}
	if len(r.Claims) == 0 && len(r.Warnings) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(c.byKey), func(a, b key) int {
		return cmp.Or(strings.Compare(a.name, b.name), format.ComparePaths(a.place, b.place))
	})
	last := ""
	for _, k := range keys {
		comp := c.byKey[k].Component
		if !used[comp] {
			continue
		}
		comp.Name = c.repo + "/" + k.name
		if long := comp.Name + "@" + format.Text(k.place); comp.Name == last && len(long) <= format.MaxText {
			comp.Name = long
			continue
		}
		last = comp.Name
	}
	return r
}
