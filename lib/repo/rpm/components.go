package rpm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/assign"
)

const (
	prefix = "rpm/"
	// ownName is the component of the database's own files, and ownInterval the
	// days between its updates: every build changes it.
	ownName     = ".database"
	ownInterval = 1
	// rebuildGap is the time after a changelog's newest entry from which on a
	// build counts as an update of its own, in seconds.
	rebuildGap = 7 * 24 * 3600
	// clockSlack is how much newer than the build an entry may be, in seconds:
	// entries are dated noon UTC of a day somewhere. Later ones are slips of a pen.
	clockSlack = 2 * 24 * 3600
	// maxDamaged bounds how many damaged packages an error tells of.
	maxDamaged = 8
)

// collector turns the packages of a database into components and claims. Nothing
// in its result depends on the order of the packages.
type collector struct {
	tree     *assign.Tree
	packages int
	byName   map[string]int
	comps    []component
	claims   []assign.Claim
	missing  []missing
	digests  []contents
	own      map[int]bool // files of the databases' folders
	damaged  []error
	broken   int
}

// component is a component in the making.
type component struct {
	name     string
	interval int64   // in days, 0 for unknown
	built    int64   // the newest build time, in unix seconds, 0 for unknown
	updates  []int64 // unix seconds
}

func newCollector(t *assign.Tree) *collector {
	return &collector{tree: t, byName: make(map[string]int), own: make(map[int]bool)}
}

// component returns the number of the component of a name.
func (c *collector) component(name string) int {
	i, ok := c.byName[name]
	if !ok {
		i = len(c.comps)
		name = strings.Clone(name) // not the whole header
		c.byName[name] = i
		c.comps = append(c.comps, component{name: name})
	}
	return i
}

// add takes one package. One that is damaged does not hide the others, as with rpm
// itself: all are read, and the damaged ones reported together.
func (c *collector) add(number int64, blob []byte) error {
	c.packages++
	err := c.addPackage(blob)
	if err != nil {
		c.broken++
		if len(c.damaged) < maxDamaged {
			c.damaged = append(c.damaged, fmt.Errorf("record %d: %w", number, err))
		}
	}
	return nil
}

// warnings says what is wrong with the database that the packages were read from.
func (c *collector) warnings(db *database) (list []string) {
	if db.indexes != nil {
		list = append(list, fmt.Sprintf("reading %q: %v; all %d packages are read (rpm --rebuilddb repairs the indexes)", db.path, db.indexes, c.packages))
	}
	if c.broken > 0 {
		list = append(list, fmt.Sprintf("reading %q: leaving out %d of %d packages, whose files belong to no package: %v (rpm --rebuilddb may repair the database)",
			db.path, c.broken, c.packages, c.damage()))
	}
	return list
}

// damage is the error of all damaged packages.
func (c *collector) damage() error {
	texts := make([]string, 0, len(c.damaged)+1)
	for _, err := range c.damaged {
		texts = append(texts, err.Error())
	}
	if more := c.broken - len(c.damaged); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return errors.New(strings.Join(texts, "; "))
}

func (c *collector) addPackage(blob []byte) error {
	p, err := parsePackage(blob)
	if err != nil {
		return err
	}
	files, err := p.files()
	if err != nil {
		return err
	}
	// A package that turns out to be damaged has no part in what is kept.
	whole := *files
	if err := whole.each(func(*listed) {}); err != nil {
		return p.wrap(err)
	}
	updates, err := p.updates(nil)
	if err != nil {
		return err
	}
	i := c.component(p.source)
	comp := &c.comps[i]
	comp.built = max(comp.built, p.built)
	comp.updates = merge(comp.updates, updates)
	return files.each(func(f *listed) { c.list(p.name, i, files.algo, f) })
}

// merge merges the times of two packages, which mostly have one changelog.
func merge(a, b []int64) []int64 {
	list := append(a, b...)
	slices.Sort(list)
	return slices.Compact(list)
}

// updates appends the times of the package's updates to list.
func (p *pkg) updates(list []int64) ([]int64, error) {
	had := len(list)
	list, err := p.changes(list)
	if err != nil {
		return nil, err
	}
	newest := int64(0)
	keep := list[:had]
	for _, t := range list[had:] {
		if t > 0 && (p.built == 0 || t <= p.built+clockSlack) {
			keep = append(keep, t)
			newest = max(newest, t)
		}
	}
	if p.built > 0 && p.built > newest+rebuildGap {
		keep = append(keep, p.built)
	}
	// A component has many packages with one changelog.
	slices.Sort(keep)
	return slices.Compact(keep), nil
}

// list takes one file that a package of component i lists.
func (c *collector) list(pkg string, i int, algo uint64, f *listed) {
	if f.ghost || !strings.HasPrefix(f.path, "/") {
		return // source packages list names without a directory
	}
	known := c.know(i, algo, f)
	if f.state != stateNormal {
		return
	}
	if at, ok := c.tree.Find(f.path); ok && fits(f.mode, c.tree.Files[at].Type) {
		c.claims = append(c.claims, assign.Claim{File: at, Component: i})
		c.tree.Name(at, pkg)
		return
	}
	if known {
		c.miss(i, algo, f)
	}
}

// fits reports whether a record's type is the one that a package lists. A mode
// without a type is that of a package that does not say.
func fits(mode uint32, t format.Type) bool {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return t == format.TypeFile
	case unix.S_IFDIR:
		return t == format.TypeDir
	case unix.S_IFLNK:
		return t == format.TypeSymlink
	case unix.S_IFIFO:
		return t == format.TypeFifo
	case unix.S_IFCHR:
		return t == format.TypeChar
	case unix.S_IFBLK:
		return t == format.TypeBlock
	case 0:
		return true
	}
	return false
}

// result sorts everything by name and drops the packages' claims on the
// databases' own files.
func (c *collector) result() *assign.Result {
	order := make([]int, len(c.comps))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(c.comps[a].name, c.comps[b].name) })
	rank := make([]int, len(order))
	r := &assign.Result{Packages: c.packages}
	for to, from := range order {
		rank[from] = to
		r.Components = append(r.Components, c.comps[from].record())
	}
	own, isOwn := c.byName[ownName]
	for _, claim := range c.claims {
		if !c.own[claim.File] || isOwn && claim.Component == own {
			r.Claims = append(r.Claims, assign.Claim{File: claim.File, Component: rank[claim.Component]})
		}
	}
	slices.SortFunc(r.Claims, func(a, b assign.Claim) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Component, b.Component))
	})
	r.Claims = slices.Compact(r.Claims)
	if len(c.missing) > 0 {
		r.Weak = c.moved(rank)
	}
	return r
}

func (c *component) record() *format.Component {
	updates := c.updates
	if over := len(updates) - format.MaxList; over > 0 {
		updates = updates[over:] // the newest: they are sorted
	}
	return &format.Component{
		Name: prefix + c.name, Updates: updates, IntervalDays: c.interval,
		MtimeClamp: c.built, HasMtimeClamp: c.built > 0,
	}
}
