package group

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// testOptimizer returns an optimizer for n components and the previous image.
func testOptimizer(n int, seed uint64) *optimizer {
	in := newInput(synthetic(n, seed, testNow), Options{Max: n, Now: testNow})
	hs := in.histories(in.now)
	ps := rates(in.cs, hs)
	o := newOptimizer(in.size, hs, ps)
	o.odds = in.outlooks(hs, ps, in.now)
	o.clients, o.horizon = someSkip(20), horizon
	r := rand.New(rand.NewPCG(seed, 2))
	for c := range n {
		u := o.newUnit([]int{c})
		if r.IntN(3) == 0 {
			u.lock = max(u.size, o.horizon*u.cost)
		}
		o.units = append(o.units, u)
	}
	return o
}

// joined returns the exact price of merging two units, computed from their members.
func (o *optimizer) joined(a, b *unit) int64 {
	both := o.newUnit(slices.Concat(a.members, b.members))
	return o.horizon*(both.cost-a.cost-b.cost) + a.lock + b.lock
}

// TestMergeTakesTheCheapest checks that at each step no pair of units is cheaper than the merged
// pair. Bounds and stale offers only save time.
func TestMergeTakesTheCheapest(t *testing.T) {
	for seed := range uint64(4) {
		const n, least = 100, 30
		before := testOptimizer(n, seed)
		for k := n - 1; k >= least; k-- {
			after := testOptimizer(n, seed)
			after.merge(k)
			paid, found := mergedPrice(before, after)
			if !found {
				t.Fatalf("seed %d, %d units: not the previous %d with two merged", seed, k, k+1)
			}
			cheapest := int64(math.MaxInt64)
			for i, a := range before.units {
				for _, b := range before.units[:i] {
					cheapest = min(cheapest, before.joined(a, b))
				}
			}
			// Odds are multiplied in a different order, which rounds differently.
			if slack := max(cheapest/1000, 1000); paid > cheapest+slack {
				t.Fatalf("seed %d, %d units: merged a pair for %d, but the cheapest costs %d", seed, k, paid, cheapest)
			}
			before = after
		}
	}
}

// mergedPrice finds the two units that form one unit in the other optimizer.
func mergedPrice(before, after *optimizer) (price int64, found bool) {
	home := map[int]int{}
	for i, u := range after.units {
		for _, c := range u.members {
			home[c] = i
		}
	}
	parts := map[int][]*unit{}
	for _, u := range before.units {
		parts[home[u.members[0]]] = append(parts[home[u.members[0]]], u)
	}
	for _, us := range parts {
		if len(us) == 2 && !found {
			price, found = before.joined(us[0], us[1]), true
		} else if len(us) != 1 {
			return 0, false
		}
	}
	return price, found
}

// planned returns the cost of a plan over the horizon, including the locks that it broke.
func (o *optimizer) planned(locked []*unit) (cost int64) {
	for _, u := range o.units {
		if len(u.members) > 0 {
			cost += o.horizon * o.newUnit(u.members).cost
		}
	}
	for _, l := range locked {
		if !slices.ContainsFunc(o.units, func(u *unit) bool { return sameMembers(u.members, l.members) }) {
			cost += l.lock
		}
	}
	return cost
}

func sameMembers(a, b []int) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// TestNoMoveIsLeft checks that after improve no move of a single component would help.
func TestNoMoveIsLeft(t *testing.T) {
	for seed := range uint64(6) {
		const n, k = 100, 20
		o := testOptimizer(n, seed)
		var locked []*unit
		for _, u := range o.units {
			if u.lock > 0 {
				locked = append(locked, o.newUnit(u.members))
				locked[len(locked)-1].lock = u.lock
			}
		}
		o.merge(k)
		merged := o.planned(locked)
		o.improve(k, 100)
		cost := o.planned(locked)
		if cost > merged {
			t.Errorf("seed %d: moves increase the cost from %d to %d", seed, merged, cost)
		}
		for c := range n {
			if best := o.bestMove(c, k, locked); best < cost-max(cost/10000, 1000) {
				t.Errorf("seed %d: component %d would cost less elsewhere: %d instead of %d", seed, c, best, cost)
			}
		}
	}
}

// bestMove tries every place for one component and recomputes the whole cost.
func (o *optimizer) bestMove(c, k int, locked []*unit) int64 {
	best := int64(math.MaxInt64)
	places, taken := len(o.units), 0
	for _, u := range o.units {
		if len(u.members) > 0 {
			taken++
		}
	}
	if taken < k {
		places++ // a separate layer
	}
	for to := range places {
		trial := &optimizer{size: o.size, odds: o.odds, clients: o.clients, horizon: o.horizon}
		for i, u := range o.units {
			members := slices.DeleteFunc(slices.Clone(u.members), func(m int) bool { return m == c })
			if i == to {
				members = append(members, c)
			}
			trial.units = append(trial.units, trial.newUnit(members))
		}
		if to == len(o.units) {
			trial.units = append(trial.units, trial.newUnit([]int{c}))
		}
		best = min(best, trial.planned(locked))
	}
	return best
}

// TestPlansAreNearTheBest compares plans with every way to put eight components into three layers,
// for a client that downloads every image.
func TestPlansAreNearTheBest(t *testing.T) {
	var got, best float64
	for seed := range uint64(30) {
		const n, k = 8, 3
		cs := synthetic(n, seed, testNow)
		in := newInput(cs, Options{Max: k, Now: testNow})
		hs := in.histories(in.now)
		ps := rates(in.cs, hs)
		o := newOptimizer(in.size, hs, ps)
		o.odds, o.clients, o.horizon = in.outlooks(hs, ps, in.now), someSkip(k), horizon
		cost := func(groups [][]int) (sum float64) {
			for _, g := range groups {
				sum += float64(o.newUnit(g).cost)
			}
			return sum
		}
		got += cost(in.withPrevious(&Previous{}))
		least := math.Inf(1)
		partitions(n, k, func(groups [][]int) { least = min(least, cost(groups)) })
		best += least
	}
	t.Logf("%.4f of the best plans' cost", got/best)
	if got > 1.03*best {
		t.Errorf("plans cost %.3f of the best ones", got/best)
	}
}

// partitions calls f with every way to put n components into at most k groups.
func partitions(n, k int, f func([][]int)) {
	var groups [][]int
	var put func(c int)
	put = func(c int) {
		if c == n {
			f(groups)
			return
		}
		for i := range groups {
			groups[i] = append(groups[i], c)
			put(c + 1)
			groups[i] = groups[i][:len(groups[i])-1]
		}
		if len(groups) < k {
			groups = append(groups, []int{c})
			put(c + 1)
			groups = groups[:len(groups)-1]
		}
	}
	put(0)
}
