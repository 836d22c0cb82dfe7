package group

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// testBlocks makes n blocks with one component each, with all rates and sizes.
func testBlocks(n int, seed uint64) []*block {
	cs := synthetic(n, seed, testNow)
	in := newInput(cs, Options{Max: n, Now: testNow}) // as many layers as components: no families
	return in.blocks()
}

// sortedMembers returns the components of each layer in order.
func sortedMembers(layers [][]*block) [][]int {
	out := membersOf(layers)
	for _, m := range out {
		slices.Sort(m)
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

func TestHigherPriceFewerLayers(t *testing.T) {
	blocks := testBlocks(300, 1)
	tree := newTree(blocks)
	last := len(blocks) + 1
	for step := range priceSteps + 1 {
		n := tree.solve(priceAt(step))
		if got := len(tree.solved(nil)); got != n {
			t.Fatalf("price %d: %d layers counted, %d planned", priceAt(step), n, got)
		}
		if n > last {
			t.Errorf("price %d: %d layers, %d at a lower price", priceAt(step), n, last)
		}
		last = n
	}
	if last != 1 {
		t.Errorf("%d layers at the highest price, want 1", last)
	}
}

// TestSolveIsCheapest compares the plan with every plan of a handful of blocks.
func TestSolveIsCheapest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for round := range 50 {
		all := testBlocks(40, uint64(round))
		var blocks []*block
		for _, i := range r.Perm(len(all))[:8] {
			blocks = append(blocks, all[i])
		}
		slices.SortFunc(blocks, func(a, b *block) int { return int(b.size - a.size) })
		price := priceAt(r.IntN(300 << (stepBits - 4)))
		tree := newTree(blocks)
		tree.solve(price)
		if want := cheapest(blocks, 0, 0, 0, price); tree.total != want {
			t.Errorf("round %d: %d bytes, want %d", round, tree.total, want)
		}
	}
}

// cheapest tries every way to cut squares off, without a tree. bits contains the half of each level
// in which the blocks are.
func cheapest(blocks []*block, level, sizes, rates int, price int64) int64 {
	if len(blocks) == 0 {
		return 0
	}
	best := int64(math.MaxInt64)
	for n := range blocks {
		best = min(best, apart(blocks[:n])+together(blocks[n:])+price*int64(n+1))
	}
	if level == len(halving) {
		return best
	}
	if halving[level] {
		sizes++
	} else {
		rates++
	}
	var low, high []*block
	for _, b := range blocks {
		if halving[level] && b.class>>(sizeBits-sizes)&1 == 1 || !halving[level] && b.rate>>(rateBits-rates)&1 == 1 {
			high = append(high, b)
		} else {
			low = append(low, b)
		}
	}
	return min(best, cheapest(low, level+1, sizes, rates, price)+cheapest(high, level+1, sizes, rates, price))
}

func apart(blocks []*block) (cost int64) {
	for _, b := range blocks {
		cost += b.cost
	}
	return cost
}

func together(blocks []*block) int64 {
	size, all := int64(0), blocks[len(blocks)-1].odds
	for i, b := range slices.Backward(blocks) {
		size += b.size
		if i < len(blocks)-1 {
			all.and(&b.odds)
		}
	}
	return share(size, one-all.mean())
}

func TestSpend(t *testing.T) {
	b := func(c int, size int64) *block { return &block{members: []int{c}, size: size} }
	layers := func() [][]*block {
		return [][]*block{{b(0, 9)}, {b(1, 5), b(2, 4), b(3, 1)}, {b(4, 6), b(5, 2)}}
	}
	for _, tc := range []struct {
		name  string
		spare int
		want  [][]int
	}{
		{"none", 0, [][]int{{0}, {1, 2, 3}, {4, 5}}},
		{"the smallest that is shared", 1, [][]int{{0}, {1, 2, 3}, {4}, {5}}},
		{"the next", 2, [][]int{{0}, {1}, {2, 3}, {4}, {5}}},
		{"more than needed", 9, [][]int{{0}, {1}, {2}, {3}, {4}, {5}}},
	} {
		if got := sortedMembers(spend(tc.spare, layers())); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestClasses(t *testing.T) {
	for _, tc := range []struct {
		name        string
		size        int64
		chance      uint64
		rate, class int
	}{
		{"small and quiet", minSize, upset, 0, 0},
		{"even odds", 1 << 20, one / 2, 14, 8},
		{"twice the odds", 1 << 21, one - one/3, 16, 9},
		{"vast and certain", 1 << 50, one, rateClasses - 1, sizeClasses - 1},
	} {
		var o odds
		for s := range o {
			o[s] = uint32(one - tc.chance)
		}
		b := newBlock(nil, tc.size, o)
		if b.rate != tc.rate || b.class != tc.class {
			t.Errorf("%s: rate class %d, size class %d; want %d, %d", tc.name, b.rate, b.class, tc.rate, tc.class)
		}
	}
}
