// Package places collects what the component repos of languages find. Their
// packages are not in one database but in places: environments, gem homes,
// projects, of which a tree may have several with the same package in each.
//
// A package is named REPO/NAME in the first place that has it, in the order of
// paths, and REPO/NAME@PLACE in the others: copies in two places are updated at
// different times. Only places count where something of the package was still
// unclaimed, so that a copy that a system package owns changes no name.
//
// Directories are claimed where they hold nothing. Others are in the layers of
// what they hold. No component has an mtime clamp: what applies without one, the
// newest mtime of its own files, is as much as there is to know.
package places

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// maxWarnings bounds a repo's warnings; how many more there are is the last one.
const maxWarnings = 100

// Collector turns packages and their files into a result. Nothing in it depends
// on the order of the packages. Its zero value is not for use.
type Collector struct {
	tree     *assign.Tree
	repo     string
	packages []pkg
	byKey    map[key]int
	claims   []assign.Claim // with a package's number in the component's place
	warnings []string
	silent   int // warnings beyond the bound
}

type key struct{ place, name string }

type pkg struct {
	key
	owns     bool
	interval int64 // in days, 0 for unknown
}

// New makes a collector for the repo of a name.
func New(repo string, t *assign.Tree) *Collector {
	return &Collector{tree: t, repo: repo, byKey: make(map[key]int)}
}

// Add returns the number of the package of a name in a place.
func (c *Collector) Add(place, name string) int {
	k := key{place, format.Text(name)}
	i, known := c.byKey[k]
	if !known {
		i = len(c.packages)
		c.byKey[k] = i
		c.packages = append(c.packages, pkg{key: k})
	}
	return i
}

// SetInterval says how many days are between a package's updates.
func (c *Collector) SetInterval(pkg int, days int64) { c.packages[pkg].interval = days }

// Claim gives a file to a package, unless it is claimed already or a directory
// that holds something.
func (c *Collector) Claim(pkg, file int) {
	if c.tree.Claimed(file) {
		return
	}
	if c.tree.Files[file].Type == format.TypeDir && holds(c.tree, file) {
		return
	}
	c.packages[pkg].owns = true
	c.claims = append(c.claims, assign.Claim{File: file, Component: pkg})
}

// Warn keeps a warning, which gets the repo's name in front.
func (c *Collector) Warn(format string, args ...any) {
	if len(c.warnings) == maxWarnings {
		c.silent++
		return
	}
	c.warnings = append(c.warnings, c.repo+": "+fmt.Sprintf(format, args...))
}

// Result returns what was collected, nil where that is nothing.
func (c *Collector) Result() *assign.Result {
	names, packages := c.names()
	r := &assign.Result{Packages: packages, Warnings: c.warnings}
	if c.silent > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: and %d more warnings", c.repo, c.silent))
	}
	if packages == 0 && len(r.Warnings) == 0 {
		return nil
	}
	index := make(map[string]int)
	for _, name := range sorted(names) {
		index[name] = len(r.Components)
		r.Components = append(r.Components, &format.Component{Name: name})
	}
	for i := range c.packages {
		if p := &c.packages[i]; p.owns && p.interval != 0 {
			r.Components[index[names[i]]].IntervalDays = p.interval
		}
	}
	r.Claims = c.claims
	for i := range r.Claims {
		r.Claims[i].Component = index[names[r.Claims[i].Component]]
	}
	slices.SortFunc(r.Claims, func(a, b assign.Claim) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Component, b.Component))
	})
	r.Claims = slices.Compact(r.Claims)
	return r
}

// names returns the components' names of the packages that own something, "" for
// the others, and how many there are.
func (c *Collector) names() (names []string, owning int) {
	order := make([]int, 0, len(c.packages))
	for i := range c.packages {
		if c.packages[i].owns {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(strings.Compare(c.packages[a].name, c.packages[b].name),
			format.ComparePaths(c.packages[a].place, c.packages[b].place))
	})
	names = make([]string, len(c.packages))
	for at, i := range order {
		p := c.packages[i]
		names[i] = c.repo + "/" + p.name
		if at == 0 || c.packages[order[at-1]].name != p.name {
			continue
		}
		if long := names[i] + "@" + format.Text(p.place); len(long) <= format.MaxText {
			names[i] = long
		}
	}
	return names, len(order)
}

// sorted returns the names in order, each once and without "".
func sorted(names []string) []string {
	list := slices.Clone(names)
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) > 0 && list[0] == "" {
		list = list[1:]
	}
	return list
}
