package pkgdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/assign"
)

const (
	// ownName is the component of the package manager's own files. ownInterval is the number of
	// days between its updates. It is 1, because every build changes the component.
	ownName     = ".database"
	ownInterval = 1
	// maxName is the longest package name, in bytes. It equals the limit of file systems.
	maxName = 255
	// maxWarnings is the largest number of warnings about one database.
	maxWarnings = 32
)

// Collector turns the packages of a database into claims.
type Collector struct {
	// Suffixes are the suffixes of copies of configuration files that the package manager keeps
	// beside the real ones, for example ".dpkg-dist".
	Suffixes []string

	tree       *assign.Tree
	repo       string
	packages   []*assign.Package
	byName     map[string]*assign.Package // components by name, without the repo's name
	claims     []assign.Claim
	second     []assign.Claim
	own        map[int]bool
	last       []*assign.Package // by file: its last claimant; nil before the first claim
	needed     []string
	warnings   []string
	suppressed int // warnings beyond the limit
}

// NewCollector returns a collector for the named repo.
func NewCollector(t *assign.Tree, repo string) *Collector {
	return &Collector{
		tree: t, repo: repo, byName: make(map[string]*assign.Package), own: make(map[int]bool),
	}
}

// CheckName returns an error that describes why a package's name is invalid, or nil if the name is
// valid.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("no name")
	case len(name) > maxName:
		return fmt.Errorf("name of %d bytes is too long", len(name))
	case name[0] == '.', strings.ContainsAny(name, "/ "), !utf8.ValidString(name), assign.HasControl(name):
		return fmt.Errorf("%q is not a name", name)
	}
	return nil
}

// SourceName returns the last element of a path in a source tree, such as OpenWrt's
// "package/libs/openssl". It returns a name without slashes unchanged. It returns "" for a path
// that is not valid in a source tree.
func SourceName(path string) string {
	name := ""
	for name = range strings.SplitSeq(path, "/") {
		if CheckName(name) != nil {
			return ""
		}
	}
	return name
}

// Add adds a package. component is a name that CheckName accepts, or empty for a package without
// files.
func (c *Collector) Add(name, component string) *assign.Package {
	p := &assign.Package{Name: strings.Clone(name)}
	if component != "" {
		p.Component = c.Component(component).Component
	}
	c.packages = append(c.packages, p)
	return p
}

// Component returns a package that represents a whole component.
func (c *Collector) Component(name string) *assign.Package {
	p := c.byName[name]
	if p == nil {
		p = &assign.Package{Component: &format.Component{Name: c.repo + "/" + name}}
		c.byName[strings.Clone(name)] = p
	}
	return p
}

// Found reports whether any package was added.
func (c *Collector) Found() bool { return len(c.packages) > 0 }

// Clamp limits the mtimes of the package's component to t. If it is called several times, the
// newest time applies.
func (c *Collector) Clamp(p *assign.Package, t int64) {
	if p := p.Component; !p.HasMtimeClamp || t > p.MtimeClamp {
		p.MtimeClamp, p.HasMtimeClamp = t, true
	}
}

// Update adds update times of the package's component.
func (c *Collector) Update(p *assign.Package, times ...int64) {
	list := append(p.Component.Updates, times...)
	slices.Sort(list)
	list = slices.Compact(list)
	p.Component.Updates = list[max(0, len(list)-format.MaxList):]
}

// Claim claims a file for a package.
func (c *Collector) Claim(p *assign.Package, file int) {
	if c.last == nil { // most repos of a build claim nothing
		c.last = make([]*assign.Package, len(c.tree.Files))
	}
	if c.last[file] == p {
		return // a list that repeats a line must not use more memory
	}
	c.last[file] = p
	c.claims = append(c.claims, assign.Claim{File: file, Package: p})
}

// ClaimSecond adds a fallback claim, which is used if no package claims the file with Claim.
func (c *Collector) ClaimSecond(p *assign.Package, file int) {
	c.second = append(c.second, assign.Claim{File: file, Package: p})
}

// Own claims a listed path for the package manager, if it exists and is not a directory.
func (c *Collector) Own(path string) error {
	i, found, err := c.tree.Find(path)
	if found && c.tree.Files[i].Type != format.TypeDir {
		c.ownFile(i)
	}
	return err
}

// OwnBelow claims everything below a physical directory for the package manager. Directories below
// it can also belong to packages.
func (c *Collector) OwnBelow(dir string) {
	i, ok := c.tree.Lookup(dir)
	if !ok || dir == "/" {
		return
	}
	for _, to := c.tree.Below(dir); i < to; i++ {
		if c.tree.Files[i].Type == format.TypeDir {
			c.ClaimSecond(c.database(), i)
		} else {
			c.ownFile(i)
		}
	}
}

// Needs records that the package manager needs these files in a physical directory.
func (c *Collector) Needs(dir string, names ...string) {
	for _, name := range names {
		c.needed = append(c.needed, format.Join(dir, name))
	}
}

func (c *Collector) ownFile(i int) {
	c.own[i] = true
	c.Claim(c.database(), i)
}

func (c *Collector) database() *assign.Package {
	p := c.Component(ownName)
	p.Component.IntervalDays = ownInterval
	return p
}

// Warn adds a warning.
func (c *Collector) Warn(text string, args ...any) {
	if len(c.warnings) >= maxWarnings {
		c.suppressed++
		return
	}
	c.warnings = append(c.warnings, fmt.Sprintf(text, args...))
}

// EachLine calls parse for each non-empty line of the file at a physical path. A faulty line causes
// a warning. After an error, no more lines are read. whole reports whether the file contains lines
// and all of them are complete.
func (c *Collector) EachLine(ctx context.Context, in *Lines, path string, parse func(line []byte) (fault string, err error)) (whole bool, err error) {
	err = in.Read(ctx, c.tree.Root, path, func(*Lines) (err error) {
		for in.Next() {
			fault := in.Fault()
			if fault == "" && len(in.Text()) > 0 {
				if fault, err = parse(in.Text()); err != nil {
					return err
				}
			}
			if fault != "" {
				c.Warn("reading %q: line %d: %.100q: %s", path, in.Number(), in.Text(), fault)
			}
		}
		whole = in.Ended() && in.Number() > 0
		return nil
	})
	return whole, err
}

// List quotes the first few names of a list, for a warning.
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

// Result returns the claims. A fallback claim is used if no other claim exists. The package
// manager's own files belong to no package.
func (c *Collector) Result() *assign.Result {
	slices.Sort(c.needed)
	c.needed = slices.Compact(c.needed) // two paths can lead to the same directory
	r := &assign.Result{Packages: c.packages, Warnings: c.warnings, Database: c.needed}
	if c.suppressed > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("not showing %d more warnings of %s", c.suppressed, c.repo))
	}
	for _, claim := range c.second {
		if c.last == nil || c.last[claim.File] == nil {
			c.claims = append(c.claims, claim)
		}
	}
	database := c.database()
	r.Claims = slices.DeleteFunc(c.claims, func(claim assign.Claim) bool {
		return c.own[claim.File] && claim.Package != database
	})
	u := unlisted{tree: c.tree, suffixes: c.Suffixes, byName: make(map[string]*assign.Package, len(c.byName))}
	c.Component(assign.SharedName)
	for _, p := range c.byName {
		u.byName[p.Component.Name] = p
	}
	r.Fallback = u.claims
	return r
}
