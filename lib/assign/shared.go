package assign

import (
	"slices"

	"chunkah/format"
)

// SharedName names, within each repo, the component for files that several of the repo's components
// own. Such a file depends on all its owners. Its timestamps and mode on disk are those of the
// owner that was installed last, and the file remains when one owner is removed. If the file were
// in the layer of one owner, an update of any other owner would change that layer.
const SharedName = ".shared"

// owner returns the component of a file that is not a directory. This is the component of the only
// claimant, or the repo's shared component. Claims are sorted by component name.
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

// describeShared fills in the fields of the shared component. Its updates are those of all owners,
// because an update of any owner can change it.
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
