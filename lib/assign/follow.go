package assign

import (
	"slices"

	"chunkah/format"
)

// follow assigns each unclaimed file to the component of the file that it follows, if that file has
// a component.
func (c *claims) follow() {
	counted := make(map[int64]bool)
	for _, f := range c.follows {
		names := c.tree.Files[f.Source].Components
		if c.tree.claimed[f.File] || len(names) == 0 {
			continue
		}
		c.tree.Files[f.File].Components = slices.Clip(names[:1])
		if f.File == c.asked {
			c.out.Claimants = append(c.out.Claimants, Claimant{Repo: c.name, Fallback: true, Components: names[:1], Won: true})
		}
		c.finish(f.File, counted)
	}
}

// FollowLinks returns a Follow for each symlink that leads to a claimed file, directly or through
// other symlinks. It ignores symlinks to directories.
func FollowLinks(t *Tree, claims []Claim) (follows []Follow, err error) {
	claimed := make(map[int]bool, len(claims))
	for _, c := range claims {
		claimed[c.File] = t.Files[c.File].Type != format.TypeDir
	}
	for i, f := range t.Files {
		if f.Type != format.TypeSymlink || len(claimed) == 0 {
			continue
		}
		target, found, err := t.FinalTarget(i)
		if err != nil {
			return nil, err
		}
		if found && claimed[target] {
			follows = append(follows, Follow{File: i, Source: target})
		}
	}
	return follows, nil
}

// merge adds components to a list. If another repo has already added a component, merge fills in
// the missing fields of that component, because a path map can assign files to the component of a
// package.
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
