package pkgdb

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/assign"
)

const (
	// ownName is the component of the package manager's own files, and
	// ownInterval the days between its updates: every build changes it.
	ownName     = ".database"
	ownInterval = 1
	// maxName bounds a package's name, in bytes: file systems do.
	maxName = 255
	// maxWarnings bounds the warnings of a database: who has more of them knows
	// by then.
	maxWarnings = 32
)

// Collector turns the packages of a database into components and claims.
type Collector struct {
	// Packages counts the packages.
	Packages int
	// Leavings are the endings of the names under which the package manager
	// leaves configuration files beside the real ones, as ".dpkg-dist".
	Leavings []string

	tree     *assign.Tree
	prefix   string // "dpkg/"
	byName   map[string]int
	comps    []component
	claims   []assign.Claim
	second   []assign.Claim
	own      map[int]bool
	last     []int32 // by file: the component that claimed it last, and 1
	database []string
	warnings []string
	unsaid   int // warnings beyond the bound
}

// component is a component in the making.
type component struct {
	name     string
	interval int64   // in days, 0 for unknown
	clamp    int64   // unix seconds
	clamped  bool    // clamp counts
	updates  []int64 // unix seconds
}

// NewCollector returns a collector for the named repo.
func NewCollector(t *assign.Tree, repo string) *Collector {
	return &Collector{
		tree: t, prefix: repo + "/", byName: make(map[string]int), own: make(map[int]bool),
		last: make([]int32, len(t.Files)),
	}
}

// CheckName says what is wrong with a package's name, nil for nothing.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("there is no name")
	case len(name) > maxName:
		return fmt.Errorf("name of %d bytes is too long", len(name))
	case name[0] == '.', strings.ContainsAny(name, "/ "), !utf8.ValidString(name),
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%q is no name", name)
	}
	return nil
}

// Component returns the number of the component of a name, which CheckName
// accepts or a repo made itself.
func (c *Collector) Component(name string) int {
	i, ok := c.byName[name]
	if !ok {
		i = len(c.comps)
		name = strings.Clone(name)
		c.byName[name] = i
		c.comps = append(c.comps, component{name: name})
	}
	return i
}

// Clamp bounds the component's mtimes by t, or by the newest that was said.
func (c *Collector) Clamp(comp int, t int64) {
	if p := &c.comps[comp]; !p.clamped || t > p.clamp {
		p.clamp, p.clamped = t, true
	}
}

// Interval says how many days are expected between the component's updates.
func (c *Collector) Interval(comp int, days int64) { c.comps[comp].interval = days }

// Update adds times at which the component changed.
func (c *Collector) Update(comp int, times ...int64) {
	p := &c.comps[comp]
	p.updates = append(p.updates, times...)
	slices.Sort(p.updates)
	p.updates = slices.Compact(p.updates)
	if over := len(p.updates) - format.MaxList; over > 0 {
		p.updates = p.updates[over:]
	}
}

// Claim claims a file for a component.
func (c *Collector) Claim(comp, file int) {
	if c.last[file] == int32(comp)+1 {
		return // a list that repeats a line takes no more memory
	}
	c.last[file] = int32(comp) + 1
	c.claims = append(c.claims, assign.Claim{File: file, Component: comp})
}

// ClaimSecond claims a file for a component where nobody does at first hand.
func (c *Collector) ClaimSecond(comp, file int) {
	c.second = append(c.second, assign.Claim{File: file, Component: comp})
}

// Own claims a physical path, where it is there and no directory, as the package
// manager's own.
func (c *Collector) Own(path string) {
	if i, ok := c.tree.Lookup(path); ok && c.tree.Files[i].Type != format.TypeDir {
		c.ownFile(i)
	}
}

// OwnBelow claims all that is below a physical directory. Directories there may
// be a package's as well.
func (c *Collector) OwnBelow(dir string) {
	i, ok := c.tree.Lookup(dir)
	if !ok {
		return
	}
	for ; i < len(c.tree.Files); i++ {
		f := c.tree.Files[i]
		if f.Path != dir && (!strings.HasPrefix(f.Path, dir) || f.Path[len(dir)] != '/') {
			return
		}
		if f.Type != format.TypeDir {
			c.ownFile(i)
			continue
		}
		c.ClaimSecond(c.ownComponent(), i)
	}
}

// Database says that the package manager needs these files of a physical folder.
func (c *Collector) Database(folder string, names ...string) {
	for _, name := range names {
		c.database = append(c.database, Join(folder, name))
	}
}

func (c *Collector) ownFile(i int) {
	c.own[i] = true
	c.Claim(c.ownComponent(), i)
}

func (c *Collector) ownComponent() int {
	comp := c.Component(ownName)
	c.Interval(comp, ownInterval)
	return comp
}

// Warn adds a warning.
func (c *Collector) Warn(text string, args ...any) {
	if len(c.warnings) >= maxWarnings {
		c.unsaid++
		return
	}
	c.warnings = append(c.warnings, fmt.Sprintf(text, args...))
}

// List writes the first of some names, quoted, for a warning.
func List(names []string) string {
	const most = 8
	var quoted []string
	for _, name := range names[:min(most, len(names))] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	text := strings.Join(quoted, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Result sorts everything by name and settles what is whose.
func (c *Collector) Result() *assign.Result {
	slices.Sort(c.database)
	c.database = slices.Compact(c.database) // two paths may lead to one folder
	r := &assign.Result{Packages: c.Packages, Warnings: c.warnings, Database: c.database}
	if c.unsaid > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("leaving out %d more warnings of %s", c.unsaid, strings.TrimSuffix(c.prefix, "/")))
	}
	order := make([]int, len(c.comps))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(c.comps[a].name, c.comps[b].name) })
	rank := make([]int, len(order))
	for to, from := range order {
		rank[from] = to
		r.Components = append(r.Components, c.record(&c.comps[from]))
	}
	r.Claims = c.settle(rank)
	r.Weak = (&unlisted{tree: c.tree, result: r, leavings: c.Leavings}).claims
	return r
}

// settle drops the packages' claims on the package manager's own files, and those
// at second hand where there are others.
func (c *Collector) settle(rank []int) []assign.Claim {
	own := c.byName[ownName] // counts only where c.own holds something
	claimed := make([]bool, len(c.tree.Files))
	list := make([]assign.Claim, 0, len(c.claims)+len(c.second))
	for _, claim := range c.claims {
		if !c.own[claim.File] || claim.Component == own {
			claimed[claim.File] = true
			list = append(list, assign.Claim{File: claim.File, Component: rank[claim.Component]})
		}
	}
	for _, claim := range c.second {
		if !claimed[claim.File] {
			list = append(list, assign.Claim{File: claim.File, Component: rank[claim.Component]})
		}
	}
	slices.SortFunc(list, func(a, b assign.Claim) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Component, b.Component))
	})
	return slices.Compact(list)
}

func (c *Collector) record(p *component) *format.Component {
	return &format.Component{
		Name: c.prefix + p.name, Updates: p.updates, IntervalDays: p.interval,
		MtimeClamp: p.clamp, HasMtimeClamp: p.clamped,
	}
}
