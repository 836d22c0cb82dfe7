// Package assign tags file records with their components.
//
// Each repo claims the files of one ecosystem, and earlier repos take precedence. After all repos
// have made their claims, their fallbacks are called in rounds. Files that no repo claims are
// assigned to components for top-level directories, so that every file belongs to a component. This
// package does not depend on any repo. The command passes the list of repos.
package assign

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chunkah/format"
)

// Summary describes the result of one repo.
type Summary struct {
	Repo string
	// Found is false if the tree contains nothing from the repo's ecosystem.
	Found      bool
	Packages   int
	Components int
	// Files is the number of claimed records except directories. Bytes is their total size,
	// counting each inode once.
	Files int
	Bytes int64
}

// Outcome is the result of Assign, apart from the tags on the records.
type Outcome struct {
	// Components are the components that contain files, in the order of the repos and by name
	// within a repo.
	Components []*format.Component
	// Packages are all packages that were read, in the order of the repos.
	Packages  []*Package
	Summaries []Summary
	Warnings  []string
	// Claimants are the claims on the file to explain, in order. They are nil if no file is
	// explained.
	Claimants []Claimant
	// Explained lists the components of that file.
	Explained *Explanation
	// Leftovers are the largest files that no repo claimed, the largest first.
	Leftovers []*format.File
	// UnclaimedTrees are trees of unclaimed files that a repo would normally recognise, the largest
	// first.
	UnclaimedTrees []UnclaimedTree
}

// Claimant is a repo that claimed the file to explain.
type Claimant struct {
	Repo string
	// Fallback is set if every other claim would take precedence.
	Fallback   bool
	Components []string
	// Packages are the names of the packages that claim the file. A fallback has no packages.
	Packages []string
	// Won is set for the claim that takes effect.
	Won bool
}

// claims applies the claims of one repo to the tree.
type claims struct {
	name      string // name of the repo
	tree      *Tree
	out       *Outcome
	asked     int // index of the file to explain, or -1
	summary   Summary
	packages  []*Package
	next      func(context.Context) (*Result, error) // nil after the last round
	fallback  bool                                   // the claims are from a fallback
	follows   []Follow
	intervals []Interval
	known     []KnownInterval
	used      map[string]*format.Component // components that own at least one file, by name
	owners    map[*format.Component]bool   // components of the files that several components own
	shared    *format.Component            // component of these files, or nil
}

// Assign tags the tree's records. Records that have components keep them.
func Assign(ctx context.Context, t *Tree, repos []Repo) (*Outcome, error) {
	return assign(ctx, t, repos, -1)
}

// assign does the same as Assign. If asked is not -1, it also collects the claims on the record
// with that index.
func assign(ctx context.Context, t *Tree, repos []Repo, asked int) (*Outcome, error) {
	out := &Outcome{}
	for i := range t.Files {
		if t.claimed[i] {
			t.share(i)
		}
	}
	all := make([]*claims, len(repos))
	for i, repo := range repos {
		all[i] = &claims{
			name: repo.Name(), tree: t, out: out, asked: asked, summary: Summary{Repo: repo.Name()},
			next: func(ctx context.Context) (*Result, error) { return repo.Load(ctx, t) },
			used: make(map[string]*format.Component), owners: make(map[*format.Component]bool),
		}
	}
	for more := true; more; {
		more = false
		for _, c := range all {
			if err := c.round(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			more = more || c.next != nil
		}
		for _, c := range all {
			c.follow()
		}
	}
	for _, c := range all {
		out.Components = merge(out.Components, c.components())
		out.Packages = append(out.Packages, c.packages...)
		out.Summaries = append(out.Summaries, c.summary)
	}
	out.Components = merge(out.Components, claimLeftovers(t, out))
	for _, c := range all {
		out.setIntervals(t, c.intervals)
	}
	for _, c := range all {
		out.setKnown(c.known)
	}
	return out, nil
}

// round gets the repo's next claims and applies them.
func (c *claims) round(ctx context.Context) error {
	if c.next == nil {
		return nil
	}
	r, err := c.next(ctx)
	c.next = nil
	if err != nil || r == nil {
		return err
	}
	c.next = r.Fallback
	c.apply(r.Claims)
	c.fallback = true
	c.summary.Found = true
	c.summary.Packages += len(r.Packages)
	c.packages = append(c.packages, r.Packages...)
	c.follows = append(c.follows, r.Follows...)
	c.intervals = append(c.intervals, r.Intervals...)
	c.known = append(c.known, r.Known...)
	c.out.Warnings = slices.Concat(c.out.Warnings, r.Warnings, c.pruned(r))
	return nil
}

// compare orders claims by file, component and package.
func (c Claim) compare(d Claim) int {
	if c.File != d.File {
		return cmp.Compare(c.File, d.File)
	}
	p, q := c.Package, d.Package
	return cmp.Or(strings.Compare(p.Component.Name, q.Component.Name), strings.Compare(p.Name, q.Name))
}

// apply assigns unclaimed files to the components that claim them.
func (c *claims) apply(list []Claim) {
	slices.SortFunc(list, Claim.compare)
	counted := make(map[int64]bool)
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end].File == list[i].File {
			end++
		}
		free := !c.tree.claimed[list[i].File]
		if list[i].File == c.asked {
			c.explain(list[i:end], free)
		}
		if free {
			c.claim(list[i:end], counted)
		}
		i = end
	}
}

// explain records the claims on the file to explain.
func (c *claims) explain(list []Claim, won bool) {
	x := Claimant{Repo: c.name, Fallback: c.fallback, Won: won}
	for _, claim := range list {
		x.Components = append(x.Components, claim.Package.Component.Name)
		if name := claim.Package.Name; name != "" && !c.fallback {
			x.Packages = append(x.Packages, name)
		}
	}
	x.Components = slices.Compact(x.Components)
	slices.Sort(x.Packages)
	x.Packages = slices.Compact(x.Packages)
	c.out.Claimants = append(c.out.Claimants, x)
}

// claim assigns a directory to all its claimants. It assigns any other file, with all names of its
// inode, to the file's owner.
func (c *claims) claim(list []Claim, counted map[int64]bool) {
	i := list[0].File
	f := c.tree.Files[i]
	if f.Type == format.TypeDir {
		last := ""
		for _, claim := range list {
			if comp := claim.Package.Component; comp.Name != last {
				c.give(f, comp)
				last = comp.Name
			}
		}
	} else {
		c.give(f, c.owner(list))
	}
	c.finish(i, counted)
}

// finish counts a file whose components are complete, and assigns the same components to all other
// names of its inode.
func (c *claims) finish(i int, counted map[int64]bool) {
	c.tree.claimed[i] = true
	c.summary.count(c.tree.Files[i], counted)
	for _, link := range c.tree.share(i) {
		c.summary.count(c.tree.Files[link], counted)
	}
}

// give assigns a component to a file.
func (c *claims) give(f *format.File, comp *format.Component) {
	f.Components = append(f.Components, comp.Name)
	if c.used[comp.Name] == nil {
		c.used[comp.Name] = comp
	}
}

func (s *Summary) count(f *format.File, counted map[int64]bool) {
	if f.Type == format.TypeDir {
		return
	}
	s.Files++
	if f.Size > 0 && !counted[f.Hardlink] {
		s.Bytes += f.Size
	}
	if f.Hardlink != 0 {
		counted[f.Hardlink] = true
	}
}

// components returns the components that contain files, by name.
func (c *claims) components() []*format.Component {
	c.describeShared()
	owning := slices.SortedFunc(maps.Values(c.used), func(a, b *format.Component) int { return strings.Compare(a.Name, b.Name) })
	c.summary.Components = len(owning)
	return owning
}
