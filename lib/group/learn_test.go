package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSurprises(t *testing.T) {
	s := Surprises(0)
	if s = s.next(false); s != 0 {
		t.Errorf("got %b before the first surprise", s)
	}
	if s = s.next(true); s != 1 || s.images() != 0 {
		t.Errorf("got %b after the first surprise", s)
	}
	if s = s.next(true).next(false).next(true); s != 0b1101 || s.images() != 3 {
		t.Errorf("got %b", s)
	}
	for range 60 {
		if s = s.next(true); s.images() > remembered {
			t.Fatalf("%b remembers %d images", s, s.images())
		}
	}
	if s != 1<<32-1 {
		t.Errorf("got %b after 60 surprises", s)
	}
	for range remembered {
		s = s.next(false)
	}
	if s != 0 {
		t.Errorf("got %b after %d images without a surprise", s, remembered)
	}
}

func TestExplained(t *testing.T) {
	days := func(list ...int64) (updates []int64) {
		for _, d := range list {
			updates = append(updates, d*day+day/2)
		}
		return updates
	}
	for _, test := range []struct {
		updates []int64
		last    int64
		want    bool
	}{
		{nil, 0, false},                // nothing can explain it
		{days(100, 200), 0, true},      // the known updates are not recorded
		{days(100, 200), 100, true},    // a new update
		{days(200, 100), 200, false},   // no new update
		{days(300), 200, false},        // only the last build is known
		{days(100, 300), 200, false},   // the history was rewritten
		{days(-100), 5, false},         // before 1970
		{[]int64{-1 << 62}, 5, false},  // absurd
		{[]int64{1<<63 - 1}, 5, false}, // absurd
		{days(5, 1<<40), 5, true},      // in the future
	} {
		if got := explained(test.updates, test.last); got != test.want {
			t.Errorf("updates %v since day %d: %t", test.updates, test.last, got)
		}
	}
}

// learned returns the layout, including the data that Learn returned.
func learned(cs []Component, ls []Layer, states []Learned) *Previous {
	prev := layoutOf(cs, ls)
	prev.Learned = make(map[string]Learned)
	for i, l := range states {
		prev.Learned[cs[i].Name] = l
	}
	return prev
}

func TestLearn(t *testing.T) {
	cs := []Component{{Name: "a", Fingerprint: "1"}, {Name: "b", Fingerprint: "1"}, {Name: "c", Fingerprint: "1"}}
	one := []Layer{{Members: []int{0, 1, 2}}}
	prev := learned(cs, one, make([]Learned, 3))
	step := func(what string, want ...Surprises) {
		t.Helper()
		got := Learn(cs, prev)
		for i := range got {
			if got[i].Surprises != want[i] {
				t.Errorf("%s: %q has %b, want %b", what, cs[i].Name, got[i].Surprises, want[i])
			}
		}
		prev = learned(cs, one, got)
	}
	step("nothing changed", 0, 0, 0)
	cs[0].Fingerprint = "2"
	step("a changed", 1, 0, 0)
	step("nothing changed", 1, 0, 0)
	cs[1].Fingerprint = "2"
	step("b changed", 0b10, 1, 0)
	cs[0].Fingerprint, cs[1].Fingerprint, cs[2].Fingerprint = "3", "3", "3"
	step("all changed", 0b10, 1, 0)
	cs[2].Fingerprint = ""
	cs[0].Fingerprint = "4"
	step("c is unknown", 0b101, 0b10, 0)
	cs[1].Name = "new"
	step("b is gone", 0b1010, 0, 0)
}

// One fifth of the components change often: some with every image, the others on average with every
// second or every fourth image. Their histories do not show this. docs/research/replays.md lists
// the results for real histories.
func TestLearningPays(t *testing.T) {
	const limit, images = 48, 40
	r := rand.New(rand.NewPCG(21, 21))
	cs := synthetic(400, 21, testNow)
	often := make([]int, len(cs)) // 0: never
	for i := range cs {
		if r.IntN(5) == 0 {
			often[i] = 1 << r.IntN(3)
		}
	}
	changes := make([][]bool, images)
	for n := range changes {
		changes[n] = make([]bool, len(cs))
		for i := range cs {
			changes[n][i] = often[i] > 0 && r.IntN(often[i]) == 0 || r.IntN(60) == 0
		}
	}
	replay := func(learns bool) (bytes int64) {
		cs := slices.Clone(cs)
		prev := layoutOf(cs, Plan(cs, Options{Max: limit, Now: testNow}))
		for n := range images {
			for i := range cs {
				if changes[n][i] {
					cs[i].Fingerprint = fmt.Sprint(cs[i].Name, n)
				}
			}
			var states []Learned
			if learns {
				states = Learn(cs, prev)
				for i := range cs {
					cs[i].Surprises = states[i].Surprises
				}
			}
			ls := Plan(cs, Options{Max: limit, Now: testNow, Previous: prev})
			client := make(map[string]bool)
			for _, l := range prev.Layers {
				client[fmt.Sprint(l)] = true
			}
			next := learned(cs, ls, states)
			for i, l := range next.Layers {
				if !client[fmt.Sprint(l)] {
					for _, m := range ls[i].Members {
						bytes += cs[m].Size
					}
				}
			}
			prev = next
		}
		return bytes
	}
	without, with := replay(false), replay(true)
	t.Logf("%.3f of the bytes are downloaded", float64(with)/float64(without))
	if with*10 > without*9 {
		t.Errorf("%d bytes are downloaded, and %d without learning", with, without)
	}
}

// Whatever learned data a plan contains, every component is in exactly one layer, and stabilities
// are within their bounds. If the plan contains the same data for all components, the result equals
// a plan without learned data, because no component is preferred.
func TestHostileLearned(t *testing.T) {
	cs := synthetic(300, 22, testNow)
	prev := layoutOf(cs, Plan(cs, Options{Max: 32, Now: testNow}))
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 22))
		absurd := func() int64 { return []int64{0, 1, -1, 1 << 62, -1 << 63, 1<<63 - 1, r.Int64()}[r.IntN(7)] }
		prev.Learned = make(map[string]Learned)
		for i := range cs {
			cs[i].Fingerprint = fmt.Sprint(r.IntN(2))
			prev.Learned[cs[i].Name] = Learned{Updated: absurd(), Surprises: Surprises(absurd())}
		}
		prev.Learned["unknown"] = Learned{Surprises: 1<<32 - 1}
		for i, l := range Learn(cs, prev) {
			cs[i].Surprises = l.Surprises
			if p := (&estimator{long: newWeights(longDecay), short: newWeights(shortDecay), pooled: defaultRate}).surprise(l.Surprises); p > one {
				t.Errorf("%b is a chance of %d", l.Surprises, p)
			}
		}
		for _, prev := range []*Previous{nil, prev} {
			ls := Plan(cs, Options{Max: 32, Now: testNow, Previous: prev})
			checkCover(t, cs, 32, ls)
			for _, l := range ls {
				if l.Stability < 0 || l.Stability > 1e6 {
					t.Errorf("a layer stays with %d ppm", l.Stability)
				}
			}
		}
	}
}

// Surprises only raise a rate, up to its upper bound.
func TestSurpriseRate(t *testing.T) {
	cs := synthetic(50, 23, testNow)
	hs := newInput(cs, Options{Max: 9, Now: testNow}).histories(testNow)
	e := newEstimator(cs, hs)
	for i := range cs {
		before := e.rate(&cs[i], &hs[i])
		for n := range 32 {
			cs[i].Surprises = 1<<n | Surprises(i*977)&(1<<n-1)
			if p := e.rate(&cs[i], &hs[i]); p < before || p > maxRate {
				t.Errorf("rate %d, and %d with surprises %b", before, p, cs[i].Surprises)
			}
		}
		cs[i].Surprises = 1<<32 - 1
		if p := e.rate(&cs[i], &hs[i]); p < one*85/100 {
			t.Errorf("a component that changes in each image has a rate of %d", p)
		}
	}
}
