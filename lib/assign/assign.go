// Package assign tags file records with the components they belong to.
//
// Repos claim files, one ecosystem each, in an order that decides who wins: the
// strong claims of every repo first, then the weak ones. What nobody claims goes
// to components made from top-level directories, so that nothing is left without
// one. The package knows no repo; the command lists them.
package assign

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"chunkah/format"
)

// Summary says what one repo did.
type Summary struct {
	Repo string
	// Found is false where the tree has nothing of the repo's ecosystem.
	Found      bool
	Packages   int
	Components int
	// Files counts the records claimed that are not directories, Bytes their
	// sizes, hard links once.
	Files int
	Bytes int64
}

// Outcome is what Assign found beside the tags it put on the records.
type Outcome struct {
	// Components are those that own something, in the order of the repos and by
	// name within one.
	Components []*format.Component
	Summaries  []Summary
	Warnings   []string
	// Claimants are all that claimed the file asked about, in the order in which
	// they were heard; nil where none was asked about.
	Claimants []Claimant
	// Explained is what became of it.
	Explained *Explanation
	// Leftovers are the largest files that nobody claimed, the largest first.
	Leftovers []*format.File
}

// Claimant is a repo that claimed one file.
type Claimant struct {
	Repo string
	// Weak tells a claim that any strong one beats.
	Weak       bool
	Components []string
	// Packages list the file, by name; nil where the repo has none by another name.
	Packages []string
	// Won is set where the claim was the one that counted.
	Won bool
}

// claims is one repo's result on its way into the tree.
type claims struct {
	repo    Repo
	result  *Result
	summary Summary
	used    []bool       // by component: owns something
	owners  map[int]bool // of the files of several components; nil where there are none
	shared  int          // the component of these files
	weak    bool         // the claims at hand are weak ones
	asked   int          // the file to tell about, -1 for none
	named   []string
	told    []Claimant
}

// Assign tags the tree's records. Records that have components keep them.
func Assign(ctx context.Context, t *Tree, repos []Repo) (*Outcome, error) {
	var all []*claims
	out := &Outcome{}
	for i := range t.Files {
		if t.claimed[i] {
			t.share(i)
		}
	}
	for _, repo := range repos {
		t.named = nil
		result, err := repo.Load(ctx, t)
		if err == nil {
			err = t.fault
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", repo.Name(), err)
		}
		c := &claims{repo: repo, result: result, summary: Summary{Repo: repo.Name(), Found: result != nil}, asked: t.asked, named: t.named}
		all = append(all, c)
		if result == nil {
			continue
		}
		c.used = make([]bool, len(result.Components))
		c.apply(t, result.Claims)
		out.Claimants = append(out.Claimants, c.tell()...)
	}
	for _, c := range all {
		c.follow(t)
	}
	for _, last := range []bool{false, true} {
		for _, c := range all {
			if err := c.ask(ctx, t, last); err != nil {
				return nil, fmt.Errorf("%s: %w", c.repo.Name(), err)
			}
			out.Claimants = append(out.Claimants, c.tell()...)
		}
		for _, c := range all {
			c.follow(t)
			out.Claimants = append(out.Claimants, c.tell()...)
		}
	}
	for _, c := range all {
		if c.result != nil {
			c.summary.Packages = c.result.Packages
			out.Warnings = slices.Concat(out.Warnings, c.result.Warnings, c.pruned(t))
		}
		out.Components = merge(out.Components, c.components())
		out.Summaries = append(out.Summaries, c.summary)
	}
	left, leftovers, largest := claimLeftovers(t)
	out.Components = merge(out.Components, leftovers)
	for _, c := range all {
		if c.result != nil && len(c.result.Intervals) > 0 {
			out.setIntervals(t, c.result.Intervals)
		}
	}
	out.Summaries, out.Leftovers = append(out.Summaries, left), largest
	return out, nil
}

// ask settles a repo's weak claims, or its last ones.
func (c *claims) ask(ctx context.Context, t *Tree, last bool) error {
	if c.result == nil {
		return nil
	}
	claims := c.result.Weak
	if last {
		claims = c.result.Last
	}
	if claims == nil {
		return nil
	}
	list, err := claims(ctx)
	if err == nil {
		err = t.fault
	}
	if err != nil {
		return err
	}
	c.used = append(c.used, make([]bool, len(c.result.Components)-len(c.used))...)
	c.weak = true
	c.apply(t, list)
	return nil
}

// apply settles one repo's claims on what was unclaimed before it.
func (c *claims) apply(t *Tree, list []Claim) {
	names := c.result.Components
	sort.Slice(list, func(a, b int) bool {
		if list[a].File != list[b].File {
			return list[a].File < list[b].File
		}
		return names[list[a].Component].Name < names[list[b].Component].Name
	})
	counted := make(map[int64]bool)
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end].File == list[i].File {
			end++
		}
		free := !t.claimed[list[i].File]
		if list[i].File == c.asked {
			c.note(list[i:end], free)
		}
		if free {
			c.claim(t, list[i:end], counted)
		}
		i = end
	}
}

// note keeps what is claimed of the file that was asked about.
func (c *claims) note(list []Claim, won bool) {
	told := Claimant{Repo: c.repo.Name(), Weak: c.weak, Won: won}
	if !c.weak {
		slices.Sort(c.named)
		told.Packages = slices.Compact(c.named)
	}
	for _, claim := range list {
		told.Components = append(told.Components, c.result.Components[claim.Component].Name)
	}
	c.told = append(c.told, told)
}

// tell hands over what was noted.
func (c *claims) tell() []Claimant {
	told := c.told
	c.told = nil
	return told
}

// claim gives a directory to all that claim it, and anything else, with all names of
// its inode, to its owner.
func (c *claims) claim(t *Tree, list []Claim, counted map[int64]bool) {
	f := t.Files[list[0].File]
	t.claimed[list[0].File] = true
	c.summary.count(f, counted)
	if f.Type == format.TypeDir {
		for i, claim := range list {
			if i == 0 || claim.Component != list[i-1].Component {
				c.give(f, claim.Component)
			}
		}
	} else {
		c.give(f, c.owner(list))
	}
	for _, i := range t.share(list[0].File) {
		c.summary.count(t.Files[i], counted)
	}
}

// give adds a component to those of a file.
func (c *claims) give(f *format.File, component int) {
	f.Components = append(f.Components, c.result.Components[component].Name)
	c.used[component] = true
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

// components returns those that own something, by name.
func (c *claims) components() []*format.Component {
	c.describeShared()
	var owning []*format.Component
	for i, used := range c.used {
		if used {
			owning = append(owning, c.result.Components[i])
		}
	}
	sort.Slice(owning, func(a, b int) bool { return owning[a].Name < owning[b].Name })
	c.summary.Components = len(owning)
	return owning
}
