package assign

import (
	"slices"

	"chunkah/format"
)

// sharedName is the component, in each repo, of files that several of its components
// own. Such a file depends on all of its owners: its times and mode on disk are those of
// the package installed last, and if its first owner goes, it stays. In the layer of
// one owner it would change that layer with every other owner.
const sharedName = ".shared"

// owner returns the component of a file that is not a directory: the only one that
// claims it, or else the repo's component for files of several owners. Claims are
// sorted by the names of their components.
func (c *claims) owner(list []Claim) int {
	only := list[0].Component
	if list[len(list)-1].Component == only {
		return only
	}
	if c.owners == nil {
		c.owners = make(map[int]bool)
		c.shared = len(c.result.Components)
		c.result.Components = append(c.result.Components, &format.Component{Name: c.repo.Name() + "/" + sharedName})
		c.used = append(c.used, false)
	}
	for _, claim := range list {
		c.owners[claim.Component] = true
	}
	return c.shared
}

// describeShared completes the component for files of several owners: any update of
// an owner may change it.
func (c *claims) describeShared() {
	if c.owners == nil {
		return
	}
	shared := c.result.Components[c.shared]
	var clamps []int64
	for i := range c.owners {
		owner := c.result.Components[i]
		shared.Updates = append(shared.Updates, owner.Updates...)
		if days := owner.IntervalDays; days > 0 && (shared.IntervalDays == 0 || days < shared.IntervalDays) {
			shared.IntervalDays = days
		}
		if owner.HasMtimeClamp {
			clamps = append(clamps, owner.MtimeClamp)
		}
	}
	slices.Sort(shared.Updates)
	shared.Updates = slices.Compact(shared.Updates)
	shared.Updates = shared.Updates[max(0, len(shared.Updates)-format.MaxList):]
	if len(clamps) == len(c.owners) {
		shared.MtimeClamp, shared.HasMtimeClamp = slices.Max(clamps), true
	}
}
