package group

import (
	"cmp"
	"slices"
)

// unit is a set of components that share a layer.
type unit struct {
	members []int
	size    int64
	odds    odds
	sums    sums   // sums of the odds
	change  uint64 // chance that the unit changes
	cost    int64  // expected bytes per week
	lock    int64  // bytes that clients download if its members change
}

// optimizer merges and improves units.
type optimizer struct {
	size    []int64 // of each component
	odds    []odds  // of each component
	clients clients // the clients to plan for
	horizon int64   // weeks that a plan is expected to last
	units   []*unit
	offers  []offer // of the units, during merge
}

func newOptimizer(size []int64, hs []history, ps []uint64) *optimizer {
	o := &optimizer{size: size, odds: make([]odds, len(size)), clients: everyWeek}
	for i := range o.odds {
		o.odds[i] = outlook(&hs[i], ps[i])
	}
	return o
}

func (o *optimizer) newUnit(members []int) *unit {
	u := &unit{members: members}
	for i := range u.odds {
		u.odds[i] = uint32(one)
	}
	for _, c := range members {
		u.size += o.size[c]
		u.odds.and(&o.odds[c])
	}
	o.assess(u)
	return u
}

// assess derives the unit's fields from its odds.
func (o *optimizer) assess(u *unit) {
	u.sums = u.odds.sums()
	u.change = one - o.clients.mean(&u.sums)
	u.cost = share(u.size, u.change)
}

// price returns the cost of merging two units over the horizon. Up to limit, the result is exact.
// Otherwise it is a lower bound above limit.
func (o *optimizer) price(a, b *unit, limit int64) int64 {
	size, apart := a.size+b.size, a.cost+b.cost
	locks := a.lock + b.lock
	if p := o.horizon*(share(size, one-o.clients.most(&a.sums, &b.sums))-apart) + locks; p > limit {
		return p
	}
	return o.horizon*(share(size, one-o.clients.both(&a.odds, &b.odds))-apart) + locks
}

// improve moves single components, the largest first, as long as a move saves more expected bytes
// over the horizon than the locks that it breaks.
func (o *optimizer) improve(k, passes int) {
	home := make([]int, len(o.size))
	for u := range o.units {
		for _, c := range o.units[u].members {
			home[c] = u
		}
	}
	order := make([]int, len(o.size))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(o.size[b], o.size[a]) })
	order = order[:min(compared, len(order))]
	for range passes {
		moved := false
		for _, c := range order {
			if o.move(c, home, k) {
				moved = true
			}
		}
		if !moved {
			return
		}
	}
}

// move puts one component where it costs least. It returns false if the component is already in the
// best place.
func (o *optimizer) move(c int, home []int, k int) bool {
	from := o.units[home[c]]
	left := o.without(from, c)
	single := o.newUnit([]int{c})
	base := o.horizon * single.cost // the price is relative to this cost
	best, at := o.horizon*(from.cost-left.cost)-from.lock-base, -1
	for i, u := range o.units {
		if i == home[c] {
			continue
		}
		if p := o.price(single, u, best); p < best {
			best, at = p, i
		}
	}
	if len(o.units) < k && len(from.members) > 1 && best > 0 {
		o.units = append(o.units, o.newUnit(nil))
		at = len(o.units) - 1
	}
	if at < 0 {
		return false
	}
	left.members = slices.DeleteFunc(slices.Clone(from.members), func(m int) bool { return m == c })
	to := o.units[at]
	single.members = append(slices.Clone(to.members), c)
	single.size += to.size
	single.odds.and(&to.odds)
	o.units[home[c]], o.units[at] = o.refresh(left), o.refresh(single)
	home[c] = at
	return true
}

// exactly is the number of members up to which a unit's odds are recomputed when its members
// change. With more members, recomputing them takes long and makes little difference.
const exactly = 256

// refresh recomputes a unit whose members have changed.
func (o *optimizer) refresh(u *unit) *unit {
	if len(u.members) <= exactly {
		return o.newUnit(u.members)
	}
	o.assess(u)
	return u
}

// without returns the unit without one component. It sets only the size, odds and cost. Dividing
// does not undo the rounding of the multiplication, but the result is deterministic.
func (o *optimizer) without(u *unit, c int) *unit {
	left := &unit{size: u.size - o.size[c]}
	for s, q := range o.odds[c] {
		left.odds[s] = uint32(min(uint64(u.odds[s])<<oneBits/uint64(q), one))
	}
	o.assess(left)
	return left
}

// groups returns the members of all units that are not empty.
func (o *optimizer) groups() [][]int {
	var out [][]int
	for _, u := range o.units {
		if len(u.members) > 0 {
			out = append(out, u.members)
		}
	}
	return out
}
