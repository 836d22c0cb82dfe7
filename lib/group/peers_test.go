package group

import (
	"testing"
)

// weekly returns the updates of a component that was created long ago and changed in the given
// weeks before testNow.
func weekly(weeks ...int) []int64 {
	u := []int64{testNow - 200*week}
	for _, w := range weeks {
		u = append(u, testNow-int64(w)*week-day)
	}
	return u
}

func releasesOf(updates []int64) releases {
	h := past(updates, testNow, false)
	return released(updates, &h, testNow, false)
}

func TestReleases(t *testing.T) {
	for _, tc := range []struct {
		name    string
		updates []int64
		want    int
	}{
		{"none", nil, 0},
		{"creation only", []int64{testNow - week}, 0},
		{"three", weekly(1, 5, 9), 3},
		{"two on one day", append(weekly(3), testNow-3*week-day), 1},
		{"too old", weekly(105, 120), 0},
		{"future", append(weekly(2), testNow+1), 1},
	} {
		r := releasesOf(tc.updates)
		if got := r.count(); got != tc.want {
			t.Errorf("%s: %d releases, want %d", tc.name, got, tc.want)
		}
	}
}

func TestLikeness(t *testing.T) {
	all := make([]int, 104)
	for i := range all {
		all[i] = i
	}
	for _, tc := range []struct {
		name     string
		a, b     []int
		min, max uint64 // percent
	}{
		{"together", []int{1, 7, 12, 20, 33, 47}, []int{1, 7, 12, 20, 33, 47}, 60, 70},
		{"apart", []int{1, 7, 12, 20}, []int{2, 8, 13, 21}, 0, 0},
		{"too few in common", []int{1, 7, 30, 40}, []int{1, 7, 31, 41}, 0, 0},
		{"half", []int{1, 7, 12, 20, 33, 47}, []int{1, 7, 12, 21, 34, 48}, 20, 30},
		{"one always", all, []int{1, 7, 12, 20}, 0, 5},
	} {
		a, b := releasesOf(weekly(tc.a...)), releasesOf(weekly(tc.b...))
		got := likeness(&a, &b, a.count(), b.count())
		if got < one/100*tc.min || got > one/100*tc.max {
			t.Errorf("%s: likeness %.3f, want %d to %d percent", tc.name, float64(got)/float64(one), tc.min, tc.max)
		}
		if back := likeness(&b, &a, b.count(), a.count()); back != got {
			t.Errorf("%s: likeness %d one way and %d the other", tc.name, got, back)
		}
	}
}

// TestPeersRaiseChances checks a component that did not change in a week in which all its peers
// changed. The component is more likely to change in that week than in others, and the mean chance
// is unchanged.
func TestPeersRaiseChances(t *testing.T) {
	suite := []int{2, 9, 15, 22, 30, 41, 50}
	cs := []Component{{Name: "a", Updates: weekly(suite...)}, {Name: "b", Updates: weekly(suite...)},
		{Name: "late", Updates: weekly(9, 15, 22, 30, 41, 50)}, {Name: "other", Updates: weekly(4, 11, 25, 38)}}
	in := newInput(cs, Options{Max: 2, Now: testNow})
	hs := in.histories(in.now)
	ps := rates(in.cs, hs)
	out := in.outlooks(hs, ps, in.now)
	at := weeksBetween(testNow-2*week-day, in.now) // the week in which "late" did not change
	late, other := &out[2], &out[3]
	if hs[2].hits.has(at) || !hs[0].hits.has(at) {
		t.Fatal("not the missed week")
	}
	if late[at] >= late[at+1] {
		t.Errorf("chance to stay in the peers' week: %d, in the next: %d", late[at], late[at+1])
	}
	if other[at] != other[at+1] {
		t.Error("a component without peers depends on other components' weeks")
	}
	for i := range out {
		var sum uint64
		for _, q := range out[i][:scenarios] {
			sum += uint64(q)
		}
		if got, want := sum/scenarios, one-ps[i]; got+one/1000 < want || got > want+one/1000 {
			t.Errorf("%s: mean chance to stay %d, want about %d", in.cs[i].Name, got, want)
		}
	}
}
