package group

import (
	"cmp"
	"math/bits"
	"slices"
)

// Clients store a layer under its chain: its digest and those of all layers below it.
// A layer that changes costs all layers above it, too: docker's graph drivers download
// these again, the others unpack and store them again. With sizes S and chances Q that
// a layer and all below it stay as they are, that is the sum of S * (1-Q), and
// exchanging two neighbours shows that the best order of given layers is by
// S * q / (1-q): large and stable ones at the bottom, small and volatile ones on top.
//
// A layer in another place costs as much as one that changes, so the order must not
// move by itself. Without the previous image it follows the rates of the last turn, as
// the groups do, and the updates since then only raise a layer, each when it breaks the
// chain there anyway. With the previous image the layers that have not changed keep
// their order, and the others go as far up as they belong.

// height says how far up a layer belongs, the lowest first.
type height int

// newHeight is the height of a layer of that size, which stays for a week at a chance.
// It falls by one for each half octave of size * stay / (1-stay).
func newHeight(size int64, stay uint64) height {
	if stay == 0 {
		return 0 // above all others, whatever its size
	}
	odds := (stay << oneBits) / max(one-stay, 1)
	hi, lo := bits.Mul64(uint64(max(size, 1)), max(odds, 1))
	length := bits.Len64(lo)
	if hi > 0 {
		length = 64 + bits.Len64(hi)
	}
	top := lo << (64 - min(length, 64)) // the first bits of the product
	if length > 64 {
		top = hi<<(128-length) | lo>>(length-64)
	}
	half := 0
	if square, _ := bits.Mul64(top, top); square >= 1<<63 { // more than the root of two
		half = 1
	}
	return -height(2*length + half)
}

// chain is what order knows of a group of components.
type chain struct {
	members []int
	size    int64
	stay    uint64
	height  height
}

func (in *input) newChain(members []int, ps []uint64) chain {
	c, always := chain{members: members, stay: one}, false
	for _, m := range members {
		c.size += in.size[m]
		c.stay = max(times(c.stay, one-ps[m]), 1)
		always = always || ps[m] == maxRate
	}
	if always { // with each build, as a package database does
		c.stay = 0
	}
	c.height = newHeight(c.size, c.stay)
	return c
}

// compareChains orders by height, and where that is the same by name.
func compareChains(a, b chain) int {
	return cmp.Or(cmp.Compare(a.height, b.height), cmp.Compare(a.members[0], b.members[0]))
}

// expected is the part of the bytes of all chains that is expected to change in a week,
// where what is below them stays at a chance.
func expected(chains []chain, below uint64) (cost int64) {
	for _, c := range chains {
		below = times(below, c.stay)
		cost += share(c.size, one-below)
	}
	return cost
}

// ordered puts groups in order, from the bottom up. Their members are ascending.
func (in *input) ordered(groups [][]int, prev *Previous) [][]int {
	var chains []chain
	if prev == nil {
		chains = in.byTurn(groups)
	} else {
		chains = in.above(groups, prev)
	}
	out := make([][]int, len(chains))
	for i, c := range chains {
		out[i] = c.members
	}
	return out
}

// byTurn orders without the previous image.
func (in *input) byTurn(groups [][]int) []chain {
	ps := in.worstRates()
	chains := make([]chain, len(groups))
	for i, g := range groups {
		chains[i] = in.newChain(g, ps)
	}
	slices.SortFunc(chains, compareChains)
	return chains
}

// worstRates are the highest rates since the turn: that of the turn, and those just
// after each update. They change when the component does, and only rise.
func (in *input) worstRates() []uint64 {
	turn := in.turn()
	hs := in.histories(turn)
	e := newEstimator(in.cs, hs)
	ps := make([]uint64, len(in.cs))
	for i := range in.cs {
		ps[i] = e.rate(&in.cs[i], &hs[i])
		for _, u := range in.cs[i].Updates {
			if u > turn && u <= in.now {
				h := past(in.cs[i].Updates, u, in.last)
				ps[i] = max(ps[i], e.rate(&in.cs[i], &h))
			}
		}
	}
	return ps
}

// above orders with the previous image: at the bottom the layers that it has at the
// bottom and that are still the same, as many as there are.
func (in *input) above(groups [][]int, prev *Previous) []chain {
	hs := in.histories(in.now)
	ps := rates(in.cs, hs)
	var chains, kept, fresh []chain
	below := one
	same, bottom := in.same(groups, prev)
	for n, i := range same {
		c := in.newChain(groups[i], ps)
		if n < bottom {
			chains, below = append(chains, c), times(below, c.stay)
		} else {
			kept = append(kept, c)
		}
	}
	for i, g := range groups {
		if !slices.Contains(same, i) {
			fresh = append(fresh, in.newChain(g, ps))
		}
	}
	sorted := slices.SortedFunc(slices.Values(slices.Concat(kept, fresh)), compareChains)
	kept = raise(kept, fresh)
	if expected(sorted, below) < expected(kept, below)/100*(100-worthSorting) {
		kept = sorted
	}
	return append(chains, kept...)
}

// worthSorting is how much better, in percent, another order of what is above the first
// change has to be, for layers that have not changed to move in it. Clients unpack them
// all the same; but it is a foreign or an outdated order that is so bad.
const worthSorting = 20

// raise puts layers among those that keep their order, each above all that belong
// below it, the highest of these counting.
func raise(kept, fresh []chain) []chain {
	slices.SortFunc(fresh, compareChains)
	for _, c := range fresh {
		at := len(kept)
		for at > 0 && compareChains(kept[at-1], c) > 0 {
			at--
		}
		kept = slices.Insert(kept, at, c)
	}
	return kept
}

// same lists the groups that are layers of the previous image in which nothing has
// changed, in its order, and how many of these are its lowest layers.
func (in *input) same(groups [][]int, prev *Previous) (list []int, bottom int) {
	home := make([]int, len(in.cs))
	for i, g := range groups {
		for _, c := range g {
			home[c] = i
		}
	}
	index, used := in.index(), make([]bool, len(in.cs))
	for n, l := range prev.Layers {
		members, ok := in.unchanged(l, index, used)
		if !ok || !slices.Equal(groups[home[members[0]]], members) {
			continue
		}
		for _, c := range members {
			used[c] = true
		}
		list = append(list, home[members[0]])
		if len(list) == n+1 {
			bottom = n + 1
		}
	}
	return list, bottom
}
