package group

import (
	"cmp"
	"math"
	"slices"
)

// odds are the chances that something stays as it is in each scenario.
type odds [scenarios]uint32 // scaled by one

// mean is the chance over all scenarios.
func (o *odds) mean() uint64 {
	var s uint64
	for _, q := range o {
		s += uint64(q)
	}
	return s / scenarios
}

// both is the mean chance that neither of two things changes.
func (o *odds) both(p *odds) uint64 {
	var s uint64
	for i := range o {
		s += uint64(o[i]) * uint64(p[i]) >> oneBits
	}
	return s / scenarios
}

// and makes o the chances that neither of two things changes.
func (o *odds) and(p *odds) {
	for i := range o {
		o[i] = uint32(uint64(o[i]) * uint64(p[i]) >> oneBits)
	}
}

// unit is a set of components that share a layer.
type unit struct {
	members []int
	size    int64
	odds    odds
	change  uint64 // chance that the unit changes in a week
	cost    int64  // expected bytes a week
	lock    int64  // bytes that touching the unit costs at once
	best    int    // cheapest partner, -1 = none
	price   int64  // cost of joining it
	stale   bool   // the partner has gone since
}

func (u *unit) settle() {
	u.change = one - u.odds.mean()
	u.cost = share(u.size, u.change)
}

// optimizer merges and improves units.
type optimizer struct {
	size    []int64 // of each component
	odds    []odds  // of each component
	horizon int64   // weeks for which a plan is expected to last
	units   []*unit
}

func newOptimizer(size []int64, hs []history, ps []uint64) *optimizer {
	o := &optimizer{size: size, odds: make([]odds, len(size))}
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
	u.settle()
	return u
}

// price is what merging two units costs over the horizon. It is exact up to
// limit; above, any lower bound beyond the limit will do: together the two
// change at least as often as the busier one alone.
func (o *optimizer) price(a, b *unit, limit int64) int64 {
	locks := a.lock + b.lock
	lo, hi := a, b
	if lo.change > hi.change {
		lo, hi = hi, lo
	}
	if p := o.horizon*share(lo.size, hi.change-lo.change) + locks; p > limit {
		return p
	}
	return o.horizon*(share(a.size+b.size, one-a.odds.both(&b.odds))-a.cost-b.cost) + locks
}

// seek finds a unit's cheapest partner, from the nearest in the list outward:
// in the order of change a cheap one is met early and spares the rest.
func (o *optimizer) seek(i int) {
	u := o.units[i]
	u.best, u.price, u.stale = -1, math.MaxInt64, false
	for d := 1; d < len(o.units); d++ {
		for _, j := range [2]int{i - d, i + d} {
			if j < 0 || j >= len(o.units) || o.units[j] == nil {
				continue
			}
			if p := o.price(u, o.units[j], u.price); p < u.price {
				u.best, u.price = j, p
			}
		}
	}
}

// merge joins the cheapest pairs until at most k units are left.
func (o *optimizer) merge(k int) {
	left := len(o.units)
	if left <= k {
		return
	}
	slices.SortStableFunc(o.units, func(a, b *unit) int { return cmp.Compare(a.change, b.change) })
	for i := range o.units {
		o.seek(i)
	}
	for left > k {
		at := -1
		for i, u := range o.units {
			if u != nil && (at < 0 || u.price < o.units[at].price) {
				at = i
			}
		}
		u := o.units[at]
		if u.stale {
			o.seek(at)
			continue
		}
		o.join(at, u.best)
		left--
		if left > k && left < len(o.units)*3/4 {
			o.compact()
		}
	}
	o.units = slices.DeleteFunc(o.units, func(u *unit) bool { return u == nil })
}

// compact closes the gaps that joined units left, so that searches do not
// walk over them.
func (o *optimizer) compact() {
	at := make([]int, len(o.units))
	kept := o.units[:0]
	for i, u := range o.units {
		if u != nil {
			at[i] = len(kept)
			kept = append(kept, u)
		}
	}
	for _, u := range kept {
		u.best = at[u.best] // any where it is stale
	}
	o.units = kept
}

// join puts the second unit into the first and tells the others.
func (o *optimizer) join(i, j int) {
	u, v := o.units[i], o.units[j]
	u.members = append(u.members, v.members...)
	u.size += v.size
	u.odds.and(&v.odds)
	u.lock = 0
	u.settle()
	o.units[j] = nil
	o.seek(i)
	for x, w := range o.units {
		if w == nil || x == i {
			continue
		}
		if w.best == i || w.best == j {
			w.stale = true
		}
		if p := o.price(u, w, w.price); p < w.price {
			w.best, w.price, w.stale = i, p, false
		}
	}
}

// improve moves single components, the largest first, while that lowers the
// expected bytes of the horizon by more than the locks it breaks.
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

// move puts one component where it costs least; false where it is so already.
func (o *optimizer) move(c int, home []int, k int) bool {
	from := o.units[home[c]]
	left := o.without(from, c)
	single := o.newUnit([]int{c})
	base := o.horizon * single.cost // price counts from there
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
	rest := slices.DeleteFunc(slices.Clone(from.members), func(m int) bool { return m == c })
	o.units[home[c]] = o.newUnit(rest)
	o.units[at] = o.newUnit(append(slices.Clone(o.units[at].members), c))
	home[c] = at
	return true
}

// without is the unit less one component: its size, chances and cost only.
// Division may be off by what multiplication rounded, which is deterministic.
func (o *optimizer) without(u *unit, c int) *unit {
	left := &unit{size: u.size - o.size[c]}
	for s, q := range o.odds[c] {
		left.odds[s] = uint32(min(uint64(u.odds[s])<<oneBits/uint64(q), one))
	}
	left.settle()
	return left
}

// groups lists the members of the units, leaving out the empty ones.
func (o *optimizer) groups() [][]int {
	var out [][]int
	for _, u := range o.units {
		if len(u.members) > 0 {
			out = append(out, u.members)
		}
	}
	return out
}
