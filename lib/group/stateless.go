package group

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// A plan that knows no previous image can only be stable by following what
// rarely changes, and by deciding in small: histories count up to the last
// turn of the year, a component's place depends on its own history and size
// alone, and which places share a layer is decided place by place (tree.go).
// One component more or less then changes its own layer and few others.

const (
	// year is how long rates are kept: 52 weeks, counted from the Unix epoch.
	// Shorter periods cost in moves what their fresher rates bring.
	year = 52 * week
	// largestAlone is the percentage of the layers that the largest components
	// have for themselves, whatever is believed of their rates: where a belief
	// is wrong, it is wrong about the most bytes there.
	largestAlone = 30
	// largestApart is the percentage of the layers that says how many of the
	// largest components are in no family, fewestApart how many are at least:
	// where a large one belongs is worth a decision of its own, and few layers
	// must not be filled by families that any coming or going changes.
	largestApart = 50
	fewestApart  = 24
	// turning is how many components there are for each one whose update, with that of
	// one more, begins a year.
	turning = 20
	// upset is the chance in a week that a component changes, comes or goes
	// against its habit. It also keeps large ones apart from the many small.
	upset = one / 100
	// minSize is the smallest size told apart, in bytes: a block of the disk.
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

// membersOf lists the components of each layer.
func membersOf(layers [][]*block) [][]int {
	groups := make([][]int, len(layers))
	for i, l := range layers {
		for _, b := range l {
			groups[i] = append(groups[i], b.members...)
		}
	}
	return groups
}

// blocks lists what is never taken apart, the largest first: the components,
// and families of them.
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
		all = families(order, in.limit, rs) // a few large families would leave layers without use
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
		out = append(out, newBlock(members, bytes, all))
	}
	slices.SortStableFunc(out, func(a, b *block) int { return cmp.Compare(b.size, a.size) })
	return out
}

// turn is the time up to which histories count: the start of the year that one in
// twenty components has been updated in, so that a few new ones do not begin it.
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

// apart is how many of the largest components are in no family. Where nearly
// every component has a layer these are all but the smallest, of which one in
// two has to share.
func (in *input) apart() int {
	return max(in.limit*largestApart/100, fewestApart, 2*in.limit-len(in.cs))
}

// rounded gives each size's nearest power of two, so that little follows from
// a component's growth.
func rounded(sz []int64) []int64 {
	out := make([]int64, len(sz))
	for i, s := range sz {
		out[i] = 1 << nearestPower(uint64(max(s, minSize)))
	}
	return out
}

// A block is one component, or a family.
type block struct {
	members []int
	size    int64 // bytes, rounded
	odds    odds
	cost    int64 // expected bytes a week in a layer of its own
	rate    int   // class of its chance of change
	class   int   // class of its size
}

const (
	// rateClasses are half an octave of the odds of a change each, from one
	// week in a hundred up to nearly every week.
	rateBits    = 5
	rateClasses = 1 << rateBits
	// sizeClasses are an octave each, from minSize to 128 MiB.
	sizeBits    = 4
	sizeClasses = 1 << sizeBits
)

// newBlock works out what follows from a block's size and odds.
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
