package group

import (
	"cmp"
	"math"
	"slices"
)

// offer contains the data for comparing a unit with many others. It is separate from the unit so
// that a search touches little memory. A pair's offer is stored with the pair's first unit.
type offer struct {
	size, lock int64
	change     uint64
	tail       uint64 // lower bound of the change of this unit and all later units
	best       int    // cheapest later partner, or -1
	price      int64  // cost of joining best
	stale      bool   // best is gone or has changed
	gone       bool   // merged into another unit
}

// merge joins the cheapest pairs until at most k units are left.
func (o *optimizer) merge(k int) {
	if len(o.units) <= k {
		return
	}
	slices.SortStableFunc(o.units, func(a, b *unit) int { return cmp.Compare(a.change, b.change) })
	o.offers = make([]offer, len(o.units))
	for i := range o.units {
		o.open(i)
	}
	o.compact()
	for i := range o.units {
		o.seek(i)
	}
	for left := len(o.units); left > k; {
		at := 0
		for i := range o.offers {
			if o.offers[i].price < o.offers[at].price {
				at = i
			}
		}
		if o.offers[at].stale {
			o.seek(at)
			continue
		}
		o.join(at, o.offers[at].best)
		left--
		if left > k && left < len(o.units)*3/4 {
			o.compact()
		}
	}
	o.compact()
}

// open resets a unit's offer, except for its tail.
func (o *optimizer) open(i int) {
	u, f := o.units[i], &o.offers[i]
	*f = offer{size: u.size, lock: u.lock, change: u.change, tail: f.tail, best: -1, price: math.MaxInt64}
}

// seek finds the cheapest later partner of a unit. Units are sorted by their chance of change, so
// the partner is near. Beyond some point, all units change too often.
func (o *optimizer) seek(i int) {
	f := &o.offers[i]
	f.best, f.price, f.stale = -1, math.MaxInt64, false
	for j := i + 1; j < len(o.offers); j++ {
		g := &o.offers[j]
		if g.tail > f.change && o.horizon*share(f.size, g.tail-f.change)+f.lock > f.price {
			return
		}
		if g.gone || o.least(f, g) > f.price {
			continue
		}
		if p := o.price(o.units[i], o.units[j], f.price); p < f.price {
			f.best, f.price = j, p
		}
	}
}

// least returns a lower bound of the price, because the merged unit changes at least as often as
// the unit that changes more often.
func (o *optimizer) least(a, b *offer) int64 {
	if a.change > b.change {
		a, b = b, a
	}
	return o.horizon*share(a.size, b.change-a.change) + a.lock + b.lock
}

// join merges the first unit into the second, which changes more often, and updates the offers
// before it.
func (o *optimizer) join(i, j int) {
	u, v := o.units[j], o.units[i]
	u.members = append(u.members, v.members...)
	u.size += v.size
	u.odds.and(&v.odds)
	u.lock = 0
	o.assess(u)
	o.open(j)
	o.units[i], o.offers[i] = nil, offer{tail: o.offers[i].tail, price: math.MaxInt64, gone: true}
	o.seek(j)
	f := &o.offers[j]
	for x := range o.offers[:j] {
		g := &o.offers[x]
		if g.gone {
			continue
		}
		if g.best == i || g.best == j {
			g.stale = true
		}
		if o.least(f, g) >= g.price {
			continue
		}
		if p := o.price(u, o.units[x], g.price); p < g.price {
			g.best, g.price, g.stale = j, p, false
		}
	}
}

// compact removes units that were merged, so that searches skip them, and recomputes the tails.
// Until then a tail can be too low, because merging only increases the chance of change.
func (o *optimizer) compact() {
	at := make([]int, len(o.units))
	n := 0
	for i, u := range o.units {
		if u == nil {
			continue
		}
		at[i] = n
		o.units[n], o.offers[n] = u, o.offers[i]
		n++
	}
	o.units, o.offers = o.units[:n], o.offers[:n]
	tail := one
	for i := n - 1; i >= 0; i-- {
		f := &o.offers[i]
		tail = min(tail, f.change)
		f.tail = tail
		if f.best >= 0 {
			f.best = at[f.best] // any value if it is stale
		}
	}
}
