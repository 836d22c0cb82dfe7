package group

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// withStay makes chains with one member each.
func withStay(sizes []int64, stays []uint64) (chains []chain) {
	for i := range sizes {
		chains = append(chains, chain{members: []int{i}, size: sizes[i], stay: stays[i], height: newHeight(sizes[i], stays[i])})
	}
	return chains
}

// TestHeightsAreBest checks that sorting by height costs no more than the best of all orders, apart
// from rounding to half octaves.
func TestHeightsAreBest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var all, least float64
	for round := range 200 {
		var sizes []int64
		var stays []uint64
		for range 2 + r.IntN(5) {
			sizes = append(sizes, 1<<(12+r.IntN(16)))
			stays = append(stays, one-uint64(math.Exp(-7*r.Float64())*float64(one)*0.98))
		}
		chains := withStay(sizes, stays)
		best := int64(math.MaxInt64)
		permute(chains, 0, func(order []chain) { best = min(best, expected(order, one)) })
		slices.SortFunc(chains, compareChains)
		got := expected(chains, one)
		if all, least = all+float64(got), least+float64(best); float64(got) > 1.15*float64(best) {
			t.Errorf("round %d: %d bytes, but %d in the best order", round, got, best)
		}
	}
	if all > 1.01*least {
		t.Errorf("%.3f of what the best orders cost", all/least)
	}
}

// permute calls f with every order of the chains from n on.
func permute(chains []chain, n int, f func([]chain)) {
	if n == len(chains) {
		f(chains)
		return
	}
	for i := n; i < len(chains); i++ {
		chains[n], chains[i] = chains[i], chains[n]
		permute(chains, n+1, f)
		chains[n], chains[i] = chains[i], chains[n]
	}
}

func TestHeight(t *testing.T) {
	for _, tc := range []struct {
		name string
		size int64
		stay uint64
		want height
	}{
		{"even odds", 1 << 20, one / 2, -2 * (20 + oneBits + 1)},
		{"twice the size", 1 << 21, one / 2, -2 * (21 + oneBits + 1)},
		{"half an octave more", 3 << 19, one / 2, -2*(20+oneBits+1) - 1},
		{"certain to change", 1 << 50, 0, 0},
		{"certain to stay", 1 << 50, one, -2 * (50 + 2*oneBits + 1)},
		{"the smallest", 1, 1, -2},
	} {
		if got := newHeight(tc.size, tc.stay); got != tc.want {
			t.Errorf("%s: height %d, want %d", tc.name, got, tc.want)
		}
	}
}

// common returns the layers that are in both a and b, in the order of a and in the order of b.
func common(a, b []string) (x, y []string) {
	for _, l := range a {
		if slices.Contains(b, l) {
			x = append(x, l)
		}
	}
	for _, l := range b {
		if slices.Contains(a, l) {
			y = append(y, l)
		}
	}
	return x, y
}

// TestOrderStays checks that adding or removing a component moves no unchanged layer, with and
// without the previous image.
func TestOrderStays(t *testing.T) {
	cs := synthetic(300, 9, testNow)
	for _, limit := range []int{24, 64, 400} {
		opt := Options{Max: limit, Now: testNow}
		first := Plan(cs, opt)
		withPrevious := opt
		withPrevious.Previous = layoutOf(cs, first)
		for i := 0; i < len(cs); i += 7 {
			less := slices.Delete(slices.Clone(cs), i, i+1)
			for _, o := range []Options{opt, withPrevious} {
				if x, y := common(names(cs, first), names(less, Plan(less, o))); !slices.Equal(x, y) {
					t.Fatalf("max %d, previous %v: without %s, layers change places", limit, o.Previous != nil, cs[i].Name)
				}
			}
		}
	}
}

// TestUpdatesRaise checks that, without the previous image, an update since the turn keeps the
// order of all other layers. The updated layer moves up or keeps its position.
func TestUpdatesRaise(t *testing.T) {
	cs := synthetic(40, 10, testNow)
	opt := Options{Max: len(cs), Now: testNow}
	before := names(cs, Plan(cs, opt))
	for i, c := range cs {
		updated := slices.Clone(cs)
		updated[i].Updates = append(slices.Clone(c.Updates), testNow-1)
		after := names(updated, Plan(updated, opt))
		if slices.Index(after, c.Name) < slices.Index(before, c.Name) {
			t.Errorf("an update of %s moves its layer down", c.Name)
		}
		without := func(l []string) []string {
			return slices.DeleteFunc(slices.Clone(l), func(n string) bool { return n == c.Name })
		}
		if !slices.Equal(without(before), without(after)) {
			t.Errorf("an update of %s moves other layers", c.Name)
		}
	}
}

// TestPrefixSurvives checks that, with the previous image, all layers below the first changed layer
// stay in place, and unchanged layers above it keep their order.
func TestPrefixSurvives(t *testing.T) {
	cs := synthetic(200, 11, testNow)
	opt := Options{Max: 40, Now: testNow}
	opt.Previous = layoutOf(cs, Plan(cs, opt))
	old := names(cs, Plan(cs, opt))
	for i := range cs {
		changed := slices.Clone(cs)
		changed[i].Fingerprint, changed[i].Updates = "2", append(slices.Clone(cs[i].Updates), testNow)
		got := Plan(changed, opt)
		all := names(changed, got)
		for n, l := range got {
			if slices.Contains(l.Members, i) { // its layer changed, whatever its name
				all[n] = "changed"
			}
		}
		broken := slices.IndexFunc(old, func(l string) bool { return !slices.Contains(all, l) })
		if !slices.Equal(all[:broken], old[:broken]) {
			t.Fatalf("%s changed: the lowest %d layers are unchanged but moved", cs[i].Name, broken)
		}
		if x, y := common(old, all); !slices.Equal(x, y) {
			t.Fatalf("%s changed, and unchanged layers moved", cs[i].Name)
		}
	}
}

// TestBadOrderIsSorted checks that, if the previous image's order is bad, its layers above the
// first change are sorted.
func TestBadOrderIsSorted(t *testing.T) {
	cs := synthetic(60, 12, testNow)
	opt := Options{Max: 60, Now: testNow}
	good := names(cs, Plan(cs, opt))
	opt.Previous = layoutOf(cs, Plan(cs, opt))
	slices.Reverse(opt.Previous.Layers)
	if got := names(cs, Plan(cs, opt)); !slices.Equal(good, reversed(got)) {
		t.Error("nothing changed, but the order did")
	}
	opt.Previous.Layers[0][0].Fingerprint = "other"
	if got := names(cs, Plan(cs, opt)); expectedOf(cs, got) > expectedOf(cs, good)*11/10 {
		t.Errorf("%d bytes, %d in the order without the previous image", expectedOf(cs, got), expectedOf(cs, good))
	}
}

// TestRaise checks that a changed layer is inserted above all layers that belong below it, and no
// further up.
func TestRaise(t *testing.T) {
	at := func(heights ...height) (chains []chain) {
		for i, h := range heights {
			chains = append(chains, chain{members: []int{i}, height: h})
		}
		return chains
	}
	for _, tc := range []struct {
		name        string
		kept, fresh []height
		want        []height
	}{
		{"in order", heightsOf(1, 3, 5), heightsOf(4, 2), heightsOf(1, 2, 3, 4, 5)},
		{"on top", heightsOf(1, 3), heightsOf(9), heightsOf(1, 3, 9)},
		{"at the bottom", heightsOf(3, 5), heightsOf(1), heightsOf(1, 3, 5)},
		{"above the highest that belongs below", heightsOf(5, 1, 7), heightsOf(3), heightsOf(5, 1, 3, 7)},
		{"nothing kept", nil, heightsOf(2, 1), heightsOf(1, 2)},
	} {
		var got []height
		for _, c := range raise(at(tc.kept...), at(tc.fresh...)) {
			got = append(got, c.height)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

func heightsOf(heights ...height) []height { return heights }

// TestFutureUpdates checks that updates after the build's clock are ignored.
func TestFutureUpdates(t *testing.T) {
	cs := synthetic(40, 16, testNow)
	opt := Options{Max: len(cs), Now: testNow}
	want := names(cs, Plan(cs, opt))
	for i := range cs {
		if i%3 == 0 {
			cs[i].Updates = append(slices.Clone(cs[i].Updates), testNow+week, testNow+2*week)
		}
	}
	if got := names(cs, Plan(cs, opt)); !slices.Equal(got, want) {
		t.Error("updates after the clock change the order")
	}
}

func reversed(l []string) []string {
	l = slices.Clone(l)
	slices.Reverse(l)
	return l
}

// expectedOf returns the cost of an order of single components by chain.
func expectedOf(cs []Component, order []string) int64 {
	in := newInput(cs, Options{Now: testNow})
	ps, index := rates(in.cs, in.histories(in.now)), in.index()
	var chains []chain
	for _, name := range order {
		chains = append(chains, in.newChain([]int{index[name]}, ps))
	}
	return expected(chains, one)
}

// TestEveryBuildOnTop checks that components that change with every build are above everything
// else, in separate layers.
func TestEveryBuildOnTop(t *testing.T) {
	cs := synthetic(200, 13, testNow)
	for i, size := range []int64{10 << 20, 64 << 10, 4 << 10} { // the last ones are as small as typical packages
		cs = append(cs, Component{Name: fmt.Sprintf("a%d/.database", i), Size: size, IntervalDays: 1})
	}
	for _, limit := range []int{16, 32, 64, 1000} {
		ls := Plan(cs, Options{Max: limit, Now: testNow})
		at := slices.IndexFunc(ls, func(l Layer) bool { return slices.Max(l.Members) >= 200 })
		for _, l := range ls[at:] {
			if slices.Min(l.Members) < 200 {
				t.Errorf("max %d: %v are in or above a layer that changes with every build", limit, names(cs, []Layer{l}))
			}
		}
	}
}

func TestArrange(t *testing.T) {
	cs := synthetic(100, 14, testNow)
	for _, opt := range []Options{{Max: 20, Now: testNow}, {Max: 20, Now: testNow, Previous: layoutOf(cs, Plan(cs, Options{Max: 20, Now: testNow}))}} {
		want := Plan(cs, opt)
		var groups [][]int
		for _, l := range slices.Backward(want) {
			groups = append(groups, l.Members)
		}
		if got := Arrange(cs, groups, opt); !slices.EqualFunc(got, want, func(a, b Layer) bool {
			return a.Stability == b.Stability && slices.Equal(a.Members, b.Members)
		}) {
			t.Errorf("previous %v: the same groups are arranged differently", opt.Previous != nil)
		}
	}
}

// TestTurnNeedsSeveral checks that a few components that are newer than all others do not begin a
// year, so that they move only themselves.
func TestTurnNeedsSeveral(t *testing.T) {
	at := floor(testNow, year) - 10*week // before the turn
	cs := synthetic(200, 15, at)
	opt := Options{Max: 48, Now: testNow}
	before := names(cs, Plan(cs, opt))
	more := append(slices.Clone(cs), Component{Name: "new", Size: 1 << 20, Updates: []int64{testNow - day}, Fingerprint: "1"})
	if moved := newBytes(before, names(more, Plan(more, opt)), more); moved > 0.1 {
		t.Errorf("one new component changes %.2f of the bytes", moved)
	}
}
