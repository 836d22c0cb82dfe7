package group

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// A plan without the previous image is stable only if it depends on things that rarely change and
// if each decision is local. So updates are used only up to the last turn of the year, and a
// component's square, which is its place in a grid of sizes and rates, depends only on its own
// history and size. The squares that share a layer are chosen area by area (tree.go). Adding or
// removing a component then changes its own layer and few others.

const (
	// year is how long rates stay fixed: 52 weeks, counted from the Unix epoch. With shorter
	// periods, moves cost as much as fresher rates save.
	year = 52 * week
	// largestAlone is the percentage of layers that are assigned to the largest components, one
	// layer each, regardless of their rates. A wrong rate costs most for these components.
	largestAlone = 30
	// largestApart determines how many of the largest components are in no family, in percent of
	// the layers. fewestApart is the minimum. The layer of each large component is decided
	// individually. If there are few layers, families must not fill all of them, because a family
	// changes whenever it gains or loses a member.
	largestApart = 50
	fewestApart  = 24
	// turning defines when a year begins. More than 1/turning of the components must have been
	// updated in it.
	turning = 20
	// upset is the assumed weekly chance that a component is added or removed, or changes contrary
	// to its history. It also keeps large components apart from many small ones.
	upset = one / 100
	// minSize is the size of a disk block, in bytes. Smaller sizes are rounded up to it.
	minSize = 4096
)

// stateless plans without the previous image.
func (in *input) stateless() [][]int {
	blocks := in.blocks()
	alone := in.limit * largestAlone / 100
	layers := newTree(blocks[alone:]).plan(in.limit - alone)
	for i := range alone {
		layers = append(layers, blocks[i:i+1])
	}
	return membersOf(layers)
}

// membersOf returns the components of each layer.
func membersOf(layers [][]*block) [][]int {
	groups := make([][]int, len(layers))
	for i, l := range layers {
		for _, b := range l {
			groups[i] = append(groups[i], b.members...)
		}
	}
	return groups
}

// blocks returns the units of the plan, which are components and families. The largest come first.
func (in *input) blocks() []*block {
	turn := in.turn()
	hs := in.histories(turn)
	ps := rates(in.cs, hs)
	size := rounded(in.size)
	order := make([]int, len(in.cs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size[b], size[a]) })
	var out []*block
	rs := in.releases(hs, turn)
	all := families(order, in.apart(), rs)
	if len(all) < in.limit {
		all = families(order, in.limit, rs) // with a few large families, some layers would be unused
	}
	for _, members := range all {
		var all odds
		bytes := int64(0)
		for i, c := range members {
			o := outlook(&hs[c], one-times(one-ps[c], one-upset))
			if i == 0 {
				all = o
			} else {
				all.and(&o)
			}
			bytes += size[c]
		}
		b := newBlock(members, bytes, all)
		b.always = slices.ContainsFunc(members, func(c int) bool { return ps[c] == maxRate })
		out = append(out, b)
	}
	slices.SortStableFunc(out, func(a, b *block) int { return cmp.Compare(b.size, a.size) })
	return out
}

// turn returns the time up to which updates are used. It is the start of the last year in which
// more than one in twenty components was updated. A few new components do not begin a year.
func (in *input) turn() int64 {
	var last []int64 // each component's last update
	for i := range in.cs {
		if at := newest(in.cs[i:i+1], in.now); at > math.MinInt64 {
			last = append(last, at)
		}
	}
	if len(last) == 0 {
		return floor(in.now, year)
	}
	slices.Sort(last)
	return floor(last[len(last)-1-min(max(len(last)/turning, 1), len(last)-1)], year)
}

// apart returns the number of largest components that are in no family. If nearly every component
// has its own layer, only the smallest components, which have to share layers, can be in a family.
func (in *input) apart() int {
	return max(in.limit*largestApart/100, fewestApart, 2*in.limit-len(in.cs))
}

// rounded returns, for each size, the nearest power of two, so that a component can grow a little
// without effect.
func rounded(sz []int64) []int64 {
	out := make([]int64, len(sz))
	for i, s := range sz {
		out[i] = 1 << nearestPower(uint64(max(s, minSize)))
	}
	return out
}

// A block is a component or a family.
type block struct {
	members []int
	size    int64 // bytes, rounded
	odds    odds
	cost    int64 // expected bytes per week in a separate layer
	rate    int   // class of its chance of change
	class   int   // class of its size
	always  bool  // changes with every build, like a package database
}

const (
	// A rate class covers half an octave of the odds of a change. The classes range from one week
	// in a hundred to nearly every week.
	rateBits    = 5
	rateClasses = 1 << rateBits
	// A size class covers an octave. The classes range from minSize to 128 MiB.
	sizeBits    = 4
	sizeClasses = 1 << sizeBits
)

// newBlock derives a block's fields from its size and odds.
func newBlock(members []int, size int64, o odds) *block {
	b := &block{members: members, size: size, odds: o}
	stay := b.odds.mean()
	b.cost = share(b.size, one-stay)
	against := max((one-stay)<<7/max(stay, 1), 1) // 2^7 times the odds of a change
	against = min(against, 1<<16)
	b.rate = min(bits.Len64(against*against)-1, rateClasses-1) // twice the logarithm
	b.class = min(max(bits.Len64(uint64(b.size)/minSize)-1, 0), sizeClasses-1)
	return b
}
