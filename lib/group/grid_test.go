package group

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// testBlocks makes n blocks of one component each, of all rates and sizes.
func testBlocks(n int, seed uint64) []*block {
	cs := synthetic(n, seed, testNow)
	in := newInput(cs, Options{Max: n, Now: testNow}) // as many layers: no families
	return in.blocks()
}

// membersOf lists each layer's components.
func membersOf(layers [][]*block) (out [][]int) {
	for _, l := range layers {
		var m []int
		for _, b := range l {
			m = append(m, b.members...)
		}
		slices.Sort(m)
		out = append(out, m)
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

func TestPriceBuysLayers(t *testing.T) {
	blocks := testBlocks(300, 1)
	g := newGrid(blocks)
	last := len(blocks) + 1
	for step := range priceSteps + 1 {
		n := g.solve(priceAt(step))
		if got := len(g.plan(rateBits, sizeBits, 0, 0, nil)); got != n {
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

// TestSolveIsCheapest compares with every plan of a handful of blocks.
func TestSolveIsCheapest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for round := range 50 {
		all := testBlocks(40, uint64(round))
		var blocks []*block
		for _, i := range r.Perm(len(all))[:5] {
			blocks = append(blocks, all[i])
		}
		slices.SortFunc(blocks, func(a, b *block) int { return int(b.size - a.size) })
		g := newGrid(blocks)
		price := priceAt(r.IntN(300))
		g.solve(price)
		if got, want := g.at(rateBits, sizeBits, 0, 0).total, cheapest(g, rateBits, sizeBits, 0, 0, price); got != want {
			t.Errorf("round %d: %d bytes, want %d", round, got, want)
		}
	}
}

// cheapest tries everything, without memory.
func cheapest(g *grid, a, b, rate, class int, price int64) int64 {
	r := g.at(a, b, rate, class)
	if len(r.blocks) == 0 {
		return 0
	}
	best := r.costs[len(r.blocks)] + price*int64(len(r.blocks))
	for n := range r.blocks {
		best = min(best, r.costs[n]+price*int64(n+1))
	}
	if a > 0 {
		best = min(best, cheapest(g, a-1, b, 2*rate, class, price)+cheapest(g, a-1, b, 2*rate+1, class, price))
	}
	if b > 0 {
		best = min(best, cheapest(g, a, b-1, rate, 2*class, price)+cheapest(g, a, b-1, rate, 2*class+1, price))
	}
	return best
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
		{"the largest that shares", 1, [][]int{{0}, {1, 2, 3}, {4}, {5}}},
		{"the next", 2, [][]int{{0}, {1}, {2, 3}, {4}, {5}}},
		{"more than needed", 9, [][]int{{0}, {1}, {2}, {3}, {4}, {5}}},
	} {
		if got := membersOf(spend(tc.spare, layers())); !reflect.DeepEqual(got, tc.want) {
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
		b := &block{size: tc.size}
		for s := range b.odds {
			b.odds[s] = uint32(one - tc.chance)
		}
		b.settle()
		if b.rate != tc.rate || b.class != tc.class {
			t.Errorf("%s: rate class %d, size class %d; want %d, %d", tc.name, b.rate, b.class, tc.rate, tc.class)
		}
	}
}
