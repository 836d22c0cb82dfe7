package group

import (
	"cmp"
	"math/bits"
	"slices"
)

// Clients identify an unpacked layer by its chain, which consists of its digest and the digests of
// all layers below it. If a layer changes, the chains of all layers above it change too. Docker's
// graph drivers download these layers again. Other clients unpack and store them again. Let S be
// the size of a layer, and Q the chance that it and all layers below it stay unchanged. The cost is
// the sum of S * (1-Q). Let q be the chance that the layer itself stays unchanged. Exchanging two
// neighbours shows that the best order is by S * q / (1-q), with large and stable layers at the
// bottom and small and volatile layers on top.
//
// Moving a layer costs as much as changing it, so the order should rarely change. Without the
// previous image, the order depends on the rates at the last turn, and so do the groups. A later
// update can only move a layer up, and that layer changes in that build anyway. With the previous
// image, unchanged layers keep their order, and the other layers are inserted between them.

// height is a layer's sort key. Layers are sorted by it, from the bottom up.
type height int

// newHeight returns the height of a layer of this size that stays unchanged for a week with chance
// stay. The height falls by 1 for each half octave of size * stay / (1-stay).
func newHeight(size int64, stay uint64) height {
	if stay == 0 {
		return 0 // above all other layers, whatever their size
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
	if square, _ := bits.Mul64(top, top); square >= 1<<63 { // more than the square root of 2
		half = 1
	}
	return -height(2*length + half)
}

// chain is a group of components with its height.
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
	if always { // with each build, like a package database
		c.stay = 0
	}
	c.height = newHeight(c.size, c.stay)
	return c
}

// compareChains orders by height, and chains of the same height by name.
func compareChains(a, b chain) int {
	return cmp.Or(cmp.Compare(a.height, b.height), cmp.Compare(a.members[0], b.members[0]))
}

// expected returns the expected number of bytes per week in chains that change. below is the chance
// that everything below them stays unchanged.
func expected(chains []chain, below uint64) (cost int64) {
	for _, c := range chains {
		below = times(below, c.stay)
		cost += share(c.size, one-below)
	}
	return cost
}

// ordered sorts groups from the bottom up. Within a group, members are in ascending order.
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

// byTurn sorts groups without the previous image.
func (in *input) byTurn(groups [][]int) []chain {
	ps := in.worstRates()
	chains := make([]chain, len(groups))
	for i, g := range groups {
		chains[i] = in.newChain(g, ps)
	}
	slices.SortFunc(chains, compareChains)
	return chains
}

// worstRates returns each component's highest rate since the turn, which is the rate at the turn or
// just after an update. It changes only with an update, and only rises.
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

// above sorts groups with the previous image. The previous image's lowest layers stay at the
// bottom, up to the first layer that changed.
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

// worthSorting is a percentage. Unchanged layers above the first change are moved only if the best
// order is cheaper by more than this. Clients unpack those layers again in any case. Only orders
// from other tools and outdated orders are that much worse.
const worthSorting = 20

// raise inserts layers among kept layers, each directly above the highest layer that belongs below
// it.
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

// same lists the groups that are unchanged layers of the previous image, in its order. bottom is
// the number of groups at the start of this list that match the previous image's layers one by one,
// from the lowest layer up.
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
