package assign

import (
	"slices"

	"chunkah/format"
)

// follow gives files to the components of their sources, where those have one and
// the files have none. It counts them for the repo that says so.
func (c *claims) follow(t *Tree) {
	if c.result == nil {
		return
	}
	counted := make(map[int64]bool)
	for _, f := range c.result.Follows {
		names := t.Files[f.Source].Components
		if t.claimed[f.File] || len(names) == 0 {
			continue
		}
		t.Files[f.File].Components = slices.Clip(names[:1])
		t.claimed[f.File] = true
		if f.File == c.asked {
			c.told = append(c.told, Claimant{Repo: c.repo.Name(), Weak: true, Components: names[:1], Won: true})
		}
		c.summary.count(t.Files[f.File], counted)
		for _, i := range t.share(f.File) {
			c.summary.count(t.Files[i], counted)
		}
	}
}

// merge adds components to a list. One that is there already, of another repo, gets
// what only the later one knows of it: a map may put files into a package.
func merge(list, more []*format.Component) []*format.Component {
	known := make(map[string]int, len(list))
	for i, c := range list {
		known[c.Name] = i
	}
	for _, c := range more {
		i, found := known[c.Name]
		if !found {
			list = append(list, c)
			continue
		}
		both := *list[i]
		if len(both.Updates) == 0 {
			both.Updates = c.Updates
		}
		if both.IntervalDays == 0 {
			both.IntervalDays = c.IntervalDays
		}
		if !both.HasMtimeClamp {
			both.MtimeClamp, both.HasMtimeClamp = c.MtimeClamp, c.HasMtimeClamp
		}
		list[i] = &both
	}
	return list
}
