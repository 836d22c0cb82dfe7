package group

import "testing"

func TestShare(t *testing.T) {
	for _, tc := range []struct {
		size   int64
		chance uint64
		want   int64
	}{{0, one, 0}, {7, one, 7}, {7, one / 2, 3}, {1 << 55, one, 1 << 55}, {1 << 55, one / 4, 1 << 53}} {
		if got := share(tc.size, tc.chance); got != tc.want {
			t.Errorf("share(%d, %d) = %d, want %d", tc.size, tc.chance, got, tc.want)
		}
	}
}

func TestRounded(t *testing.T) {
	for _, tc := range []struct{ size, want int64 }{
		{0, 4096}, {5792, 4096}, {5793, 8192}, {1 << 20, 1 << 20}, {1 << 50, 1 << 50}, {3 << 48, 1 << 50},
	} {
		if got := rounded([]int64{tc.size})[0]; got != tc.want {
			t.Errorf("rounded(%d) = %d, want %d", tc.size, got, tc.want)
		}
	}
}

func TestRates(t *testing.T) {
	weekly := func(n, every int) (u []int64) {
		for i := range n {
			u = append(u, testNow-int64(i*every)*week-day)
		}
		return u
	}
	cs := []Component{
		{Name: "weekly", Updates: weekly(150, 1)},
		{Name: "monthly", Updates: weekly(37, 4)},
		{Name: "yearly", Updates: weekly(3, 52)},
		{Name: "none"},
		{Name: "daily by interval", IntervalDays: 1},
		{Name: "yearly by interval", IntervalDays: 365},
	}
	in := newInput(cs, Options{Now: testNow})
	ps := map[string]uint64{}
	for i, p := range rates(in.cs, in.histories(testNow)) {
		ps[in.cs[i].Name] = p * 1000 / one
	}
	for name, want := range map[string][2]uint64{"weekly": {930, 980}, "monthly": {200, 300}, "yearly": {10, 100},
		"none": {60, 500}, "daily by interval": {900, 980}, "yearly by interval": {15, 22}} {
		if p := ps[name]; p < want[0] || p > want[1] {
			t.Errorf("%s: %d in 1000, want %d to %d", name, p, want[0], want[1])
		}
	}
}

// TestForgetRebuilds checks that a week in which most components changed is ignored, and a week in
// which half of them changed is not.
func TestForgetRebuilds(t *testing.T) {
	var cs []Component
	for i := range 10 {
		weeks := []int{30 + i}
		if i < 6 {
			weeks = append(weeks, 7)
		}
		if i < 5 {
			weeks = append(weeks, 12)
		}
		cs = append(cs, Component{Name: string(rune('a' + i)), Updates: weekly(weeks...)})
	}
	in := newInput(cs, Options{Now: testNow})
	hs := in.histories(testNow)
	before := rates(cs, hs)
	forgetRebuilds(hs)
	after := rates(cs, hs)
	for i := range hs {
		h := &hs[i].hits
		if h.has(7) || h.has(12) != (i < 5) || !h.has(30+i) {
			t.Errorf("%s: changed in week 7: %v, 12: %v, own: %v", cs[i].Name, h.has(7), h.has(12), h.has(30+i))
		}
		if rebuilt := i < 6; rebuilt && after[i] >= before[i] {
			t.Errorf("%s: its chance of change is %d with the rebuild, %d without", cs[i].Name, before[i], after[i])
		}
	}
}
