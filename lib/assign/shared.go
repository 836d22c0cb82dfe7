package assign

import (
	"slices"

	"chunkah/format"
)

// SharedName is the component, in each repo, of files that several of its components own. Such a
// file depends on all its owners. Its times and mode on disk come from the owner that was installed
// last, and it stays when one owner is removed. If it were in one owner's layer, an update of any
// other owner would change that layer.
const SharedName = ".shared"

// owner returns the component of a file that is not a directory. This is its only claimant, or the
// repo's shared component. Claims are sorted by component name.
func (c *claims) owner(list []Claim) *format.Component {
	only := list[0].Package.Component
	if list[len(list)-1].Package.Component.Name == only.Name {
		return only
	}
	if c.shared == nil {
		c.shared = &format.Component{Name: c.name + "/" + SharedName}
	}
	for _, claim := range list {
		c.owners[claim.Package.Component] = true
	}
	return c.shared
}

// describeShared completes the shared component. An update of any owner can change it.
func (c *claims) describeShared() {
	var clamps []int64
	for owner := range c.owners {
		c.shared.Updates = append(c.shared.Updates, owner.Updates...)
		if days := owner.IntervalDays; days > 0 && (c.shared.IntervalDays == 0 || days < c.shared.IntervalDays) {
			c.shared.IntervalDays = days
		}
		if owner.HasMtimeClamp {
			clamps = append(clamps, owner.MtimeClamp)
		}
	}
	if c.shared == nil {
		return
	}
	slices.Sort(c.shared.Updates)
	c.shared.Updates = slices.Compact(c.shared.Updates)
	c.shared.Updates = c.shared.Updates[max(0, len(c.shared.Updates)-format.MaxList):]
	if len(clamps) == len(c.owners) {
		c.shared.MtimeClamp, c.shared.HasMtimeClamp = slices.Max(clamps), true
	}
}
