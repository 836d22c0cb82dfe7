package group

import (
	"cmp"
	"math/bits"
	"slices"
)

// A plan that knows no previous image can only be stable by following what
// rarely changes: rates as of the last turn of the year, sizes rounded to
// powers, and shares that are constants. What is born after the turn is put
// where it costs least and moves nothing else.

const (
	// year is how long rates are kept: 52 weeks, counted from the Unix epoch.
	// Shorter periods cost more in moves than fresher rates bring.
	year = 52 * week
	// manyPerLayer is the number of known components a layer from which clustering by
	// common weeks beats ranking by rate; with fewer, its moves cost more.
	manyPerLayer = 8
	// rankedAlone and clusteredAlone are the percentage of the layers that
	// hold one large component each.
	rankedAlone    = 70
	clusteredAlone = 50
	// coldHits is the number of changes in a year below which a component has
	// no pattern to follow: such ones are pooled by the octave of their rate.
	coldHits = 2
	// minSize is the smallest size told apart, in bytes: a block of the disk.
	minSize = 4096
)

// rounded gives each size's nearest power of 2^step on a log scale.
func rounded(sz []int64, step int) []int64 {
	out := make([]int64, len(sz))
	for i, s := range sz {
		n := nearestPower(uint64(max(s, minSize)))
		out[i] = 1 << ((n + step/2) / step * step)
	}
	return out
}

// bySize lists the components by falling size, rounded to powers of two so
// that the order rarely changes.
func (in *input) bySize() []int {
	sz := rounded(in.size, 1)
	list := make([]int, len(sz))
	for i := range list {
		list[i] = i
	}
	slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(sz[b], sz[a]) })
	return list
}

// ranked gives the largest components a layer each and cuts the others, in
// the order of their rates, into runs of least expected bytes.
func (in *input) ranked() [][]int {
	ps := rates(in.cs, in.histories(floor(in.now, year)))
	list := in.bySize()
	alone := in.limit * rankedAlone / 100
	var groups [][]int
	for _, c := range list[:alone] {
		groups = append(groups, []int{c})
	}
	rest := list[alone:]
	slices.SortFunc(rest, func(a, b int) int { return cmp.Or(cmp.Compare(ps[a], ps[b]), cmp.Compare(a, b)) })
	return append(groups, segments(rest, rounded(in.size, 1), ps, in.limit-alone)...)
}

// known counts the components that are not born after the reference.
func (in *input) known() (n int) {
	ref := floor(in.now, year)
	for i := range in.cs {
		u := in.cs[i].Updates
		if len(u) == 0 || slices.Min(u) <= ref {
			n++
		}
	}
	return n
}

// clustered gives the largest components a layer each and joins the others
// by what they cost together.
func (in *input) clustered() [][]int {
	hs := in.histories(floor(in.now, year))
	ps := rates(in.cs, hs)
	o := newOptimizer(rounded(in.size, 2), hs, ps)
	o.horizon = 1
	var known, born []int
	for _, c := range in.bySize() {
		if hs[c].weeks > 0 || len(in.cs[c].Updates) == 0 {
			known = append(known, c)
		} else {
			born = append(born, c)
		}
	}
	alone := min(in.limit*clusteredAlone/100, len(known))
	o.pool(known[alone:], hs, ps)
	if len(o.units) < in.limit-alone {
		return in.ranked() // hardly any component has a pattern
	}
	o.merge(in.limit - alone)
	for _, c := range known[:alone] {
		o.units = append(o.units, o.newUnit([]int{c}))
	}
	slices.Sort(born)
	o.place(born, in.limit)
	return o.groups()
}

// pool makes a unit of each component, and one of all that rarely change at
// much the same rate: their order is chance and must not shape a plan.
func (o *optimizer) pool(list []int, hs []history, ps []uint64) {
	cold := map[int]int{} // octave of the rate -> index into sets
	var sets [][]int
	for _, c := range list {
		if hs[c].changes(scenarios) >= coldHits {
			sets = append(sets, []int{c})
			continue
		}
		octave := bits.Len64(ps[c])
		at, ok := cold[octave]
		if !ok {
			at = len(sets)
			cold[octave] = at
			sets = append(sets, nil)
		}
		sets[at] = append(sets[at], c)
	}
	for _, s := range sets {
		o.units = append(o.units, o.newUnit(s))
	}
}

// place puts each component into the unit where it costs least, judged by
// the units as they were before; units are added while there are fewer than k.
func (o *optimizer) place(list []int, k int) {
	add := make([][]int, len(o.units))
	for _, c := range list {
		if len(o.units) < k {
			o.units = append(o.units, o.newUnit([]int{c}))
			add = append(add, nil)
			continue
		}
		at, _ := o.cheapest(o.newUnit([]int{c}))
		add[at] = append(add[at], c)
	}
	for i, cs := range add {
		if len(cs) > 0 {
			o.units[i] = o.newUnit(append(o.units[i].members, cs...))
		}
	}
}
