package group

import (
	"cmp"
	"slices"
)

const (
	// horizon is the number of weeks in which a better layout must pay back the cost of moving. 32
	// and 64 were worse, especially for clients that skip images.
	horizon = 16
	// maxPasses is the largest number of passes that search for better single moves. Most searches
	// end after three or four.
	maxPasses = 10
	// compared is the number of largest components that are compared with each other. The time
	// grows with its square. The largest distribution images contain about this many components.
	compared = 2048
	// pools is the number of groups for the other components.
	pools = 256
)

// withPrevious plans from the layout of the previous image. It keeps unchanged layers unless
// breaking a layer pays off within the horizon. All other layers are downloaded anyway, so their
// components can move.
func (in *input) withPrevious(prev *Previous) [][]int {
	kept, free := in.split(prev)
	if len(free) == 0 && len(kept) <= in.limit {
		return kept // nothing changed: nothing to download
	}
	hs := in.histories(in.now)
	forgetRebuilds(hs)
	ps := rates(in.cs, hs)
	in.remember(hs)
	o := newOptimizer(in.size, hs, ps)
	o.odds = in.outlooks(hs, ps, in.now)
	o.clients = someSkip(in.limit)
	o.horizon = horizon
	for _, members := range kept {
		u := o.newUnit(members)
		// A layer that is likely to change will soon be downloaded anyway, so moving it now is
		// never worth the cost.
		u.lock = max(u.size, o.horizon*u.cost)
		o.units = append(o.units, u)
	}
	for _, members := range in.pool(free, o.odds) {
		o.units = append(o.units, o.newUnit(members))
	}
	o.merge(in.limit)
	o.improve(in.limit, maxPasses)
	return o.groups()
}

// pool creates the initial groups. Each of the largest components gets its own group. All others
// share a few groups, as in a plan without the previous image.
func (in *input) pool(free []int, outlooks []odds) (groups [][]int) {
	free = in.largest(free)
	var blocks []*block
	for i, c := range free {
		if i < compared {
			groups = append(groups, []int{c})
		} else {
			blocks = append(blocks, newBlock([]int{c}, in.size[c], outlooks[c]))
		}
	}
	return append(groups, membersOf(newTree(blocks).plan(pools))...)
}

// largest sorts components by size, the largest first, if there are too many to compare.
func (in *input) largest(list []int) []int {
	if len(list) <= compared {
		return list
	}
	return slices.SortedStableFunc(slices.Values(list), func(a, b int) int { return cmp.Compare(in.size[b], in.size[a]) })
}

// split returns the previous layers that are complete and unchanged, and the components outside
// these layers.
func (in *input) split(prev *Previous) (kept [][]int, free []int) {
	index, used := in.index(), make([]bool, len(in.cs))
	for _, l := range prev.Layers {
		members, ok := in.unchanged(l, index, used)
		if !ok {
			continue
		}
		for _, c := range members {
			used[c] = true
		}
		kept = append(kept, members)
	}
	slices.SortFunc(kept, slices.Compare)
	for i := range in.cs {
		if !used[i] {
			free = append(free, i)
		}
	}
	return kept, free
}

// index maps names to components. If several components have the same name, the first is used.
func (in *input) index() map[string]int {
	index := make(map[string]int, len(in.cs))
	for i, c := range slices.Backward(in.cs) {
		index[c.Name] = i
	}
	return index
}

// unchanged returns a layer's members. It returns false if the layer is empty, or if a member is
// gone, has changed or is also in another layer.
func (in *input) unchanged(l []Member, index map[string]int, used []bool) ([]int, bool) {
	var members []int
	for _, m := range l {
		c, ok := index[m.Name]
		if !ok || used[c] {
			return nil, false
		}
		now := in.cs[c].Fingerprint
		if now != m.Fingerprint && now != "" && m.Fingerprint != "" {
			return nil, false
		}
		members = append(members, c)
	}
	slices.Sort(members)
	return members, len(members) > 0 && len(slices.Compact(slices.Clone(members))) == len(members)
}
