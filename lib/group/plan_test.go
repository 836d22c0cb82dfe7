package group

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// testNow is 2026-03-01, in the middle of a period of 52 weeks.
const testNow = int64(1772323200)

// synthetic makes n components with histories that end at now. One third are released together in
// suites, the others separately.
func synthetic(n int, seed uint64, now int64) []Component {
	r := rand.New(rand.NewPCG(seed, 1))
	suites := make([][]int64, 8)
	for s := range suites {
		for at := now - 150*week; at < now; at += int64(r.IntN(10)+1) * week {
			suites[s] = append(suites[s], at)
		}
	}
	cs := make([]Component, n)
	for i := range cs {
		c := Component{Name: fmt.Sprintf("c%05d", i), Size: int64(math.Exp(8 + 8*r.Float64())), Fingerprint: "1"}
		if i%3 == 0 {
			c.Updates = slices.Clone(suites[r.IntN(len(suites))])
		} else {
			gap := int64(math.Exp(6*r.Float64())) + 1
			for at := now - int64(r.IntN(150)+2)*week; at < now; at += gap * week {
				c.Updates = append(c.Updates, at)
			}
		}
		cs[i] = c
	}
	return cs
}

// names returns a plan as lists of names, one list per layer.
func names(cs []Component, ls []Layer) []string {
	var out []string
	for _, l := range ls {
		var m []string
		for _, i := range l.Members {
			m = append(m, cs[i].Name)
		}
		slices.Sort(m)
		out = append(out, strings.Join(m, " "))
	}
	return out
}

func layoutOf(cs []Component, ls []Layer) *Previous {
	p := new(Previous)
	for _, l := range ls {
		var ms []Member
		for _, i := range l.Members {
			ms = append(ms, Member{cs[i].Name, cs[i].Fingerprint})
		}
		p.Layers = append(p.Layers, ms)
	}
	return p
}

func checkCover(t *testing.T, cs []Component, limit int, ls []Layer) {
	t.Helper()
	if len(ls) > max(limit, 1) {
		t.Errorf("%d layers, at most %d allowed", len(ls), limit)
	}
	seen := make([]int, len(cs))
	for _, l := range ls {
		if len(l.Members) == 0 || !slices.IsSorted(l.Members) {
			t.Errorf("members %v are empty or not ascending", l.Members)
		}
		if l.Stability < 0 || l.Stability > 1e6 {
			t.Errorf("invalid stability %d", l.Stability)
		}
		for _, i := range l.Members {
			seen[i]++
		}
	}
	for i, n := range seen {
		if n != 1 {
			t.Errorf("component %d is in %d layers", i, n)
		}
	}
}

func TestEveryComponentOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 17, 100, 300} {
		for _, limit := range []int{-1, 0, 1, 2, 16, 64, 1000} {
			cs := synthetic(n, uint64(n), testNow)
			ls := Plan(cs, Options{Max: limit, Now: testNow})
			checkCover(t, cs, limit, ls)
			prev := layoutOf(cs, ls)
			for i := range cs {
				if i%7 == 0 {
					cs[i].Fingerprint = "2"
				}
			}
			for _, k := range []int{limit, limit / 2, limit * 2} {
				checkCover(t, cs, k, Plan(cs, Options{Max: k, Now: testNow, Previous: prev}))
			}
		}
	}
}

func TestStrangeInput(t *testing.T) {
	huge := make([]int64, 5000)
	for i := range huge {
		huge[i] = testNow - int64(i)*day
	}
	strange := func() []Component {
		cs := []Component{
			{}, {}, {Name: "a"}, {Name: "a"}, {Name: "negative", Size: -5},
			{Name: "vast", Size: math.MaxInt64}, {Name: "vast2", Size: math.MaxInt64, Updates: huge},
			{Name: "future", Size: 1, Updates: []int64{math.MaxInt64, testNow + 1}},
			{Name: "past", Size: 1 << 40, Updates: []int64{math.MinInt64, -1, 0, 1}},
			{Name: "twice", Size: 9, Updates: []int64{5, 5, 5}},
			{Name: "often", IntervalDays: 1}, {Name: "seldom", IntervalDays: math.MaxInt64}, {Name: "never", IntervalDays: -3},
		}
		for i := range 40 {
			cs = append(cs, Component{Name: fmt.Sprint("n", i), Size: math.MaxInt64, Updates: huge[i*10 : i*10+i]})
		}
		return cs
	}
	bad := &Previous{Layers: [][]Member{nil, {{"a", ""}, {"a", ""}}, {{"gone", "x"}}, {{"twice", ""}}, {{"twice", ""}, {"often", ""}}}}
	for _, now := range []int64{math.MinInt64, -1, 0, 1, testNow, math.MaxInt64} {
		for _, limit := range []int{1, 3, 8, 30, 100} {
			for _, prev := range []*Previous{nil, {}, bad} {
				cs := strange()
				checkCover(t, cs, limit, Plan(cs, Options{Max: limit, Now: now, Previous: prev}))
			}
		}
	}
}

func TestInputOrderIrrelevant(t *testing.T) {
	cs := synthetic(300, 3, testNow)
	prev := layoutOf(cs, Plan(cs, Options{Max: 50, Now: testNow}))
	for i := range cs {
		if i%5 == 0 {
			cs[i].Fingerprint = "2"
		}
	}
	for _, opt := range []Options{{Max: 20, Now: testNow}, {Max: 100, Now: testNow}, {Max: 50, Now: testNow, Previous: prev}} {
		want := names(cs, Plan(cs, opt))
		mixed := slices.Clone(cs)
		rand.New(rand.NewPCG(7, 7)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := names(mixed, Plan(mixed, opt)); !reflect.DeepEqual(got, want) {
			t.Errorf("max %d: the plan depends on the order of the input", opt.Max)
		}
	}
}

func TestNothingChanged(t *testing.T) {
	cs := synthetic(400, 4, testNow)
	for _, limit := range []int{16, 128} {
		first := Plan(cs, Options{Max: limit, Now: testNow})
		prev := layoutOf(cs, first)
		for _, later := range []int64{1, 7, 300, 366, 3660} {
			now := testNow + later*day
			if got := Plan(cs, Options{Max: limit, Now: now}); !reflect.DeepEqual(names(cs, got), names(cs, first)) {
				t.Errorf("max %d: a different plan %d days later", limit, later)
			}
			if got := Plan(cs, Options{Max: limit, Now: now, Previous: prev}); !reflect.DeepEqual(names(cs, got), names(cs, first)) {
				t.Errorf("max %d: a different plan %d days later, with previous", limit, later)
			}
		}
	}
}

// newBytes returns the share of image b that a client downloads if it already has image a.
func newBytes(a, b []string, cs []Component) float64 {
	size := map[string]int64{}
	for _, c := range cs {
		size[c.Name] = c.Size
	}
	var fresh, all float64
	for _, l := range b {
		for n := range strings.FieldsSeq(l) {
			all += float64(size[n])
			if !slices.Contains(a, l) {
				fresh += float64(size[n])
			}
		}
	}
	return fresh / all
}

func TestOneComponentMoreOrLess(t *testing.T) {
	for _, limit := range []int{24, 96} {
		cs := synthetic(360, 5, testNow)
		whole := names(cs, Plan(cs, Options{Max: limit, Now: testNow}))
		// The previous image was itself built with a previous image.
		opt := Options{Max: limit, Now: testNow, Previous: layoutOf(cs[1:], Plan(cs[1:], Options{Max: limit, Now: testNow}))}
		opt.Previous = layoutOf(cs, Plan(cs, opt))
		var old []string
		for _, l := range opt.Previous.Layers {
			var m []string
			for _, x := range l {
				m = append(m, x.Name)
			}
			slices.Sort(m)
			old = append(old, strings.Join(m, " "))
		}
		var mean, meanPrev float64
		const rounds = 20
		for r := range rounds {
			less := slices.Delete(slices.Clone(cs), r*18, r*18+1)
			part := names(less, Plan(less, Options{Max: limit, Now: testNow}))
			mean += newBytes(whole, part, less) / rounds
			after := names(less, Plan(less, opt))
			meanPrev += newBytes(old, after, less) / rounds
		}
		t.Logf("max %d: removing a component moves %.3f of the bytes, with previous %.3f", limit, mean, meanPrev)
		if mean > 0.12 || meanPrev > 0.20 {
			t.Errorf("max %d: removing a component moves %.3f of the bytes, with previous %.3f", limit, mean, meanPrev)
		}
	}
}

// TestFewLayersDiffer counts the layers that change when one component is added, for components of
// all sizes, with and without a history.
func TestFewLayersDiffer(t *testing.T) {
	for _, limit := range []int{32, 128} {
		cs := synthetic(600, 6, testNow)
		before := names(cs, Plan(cs, Options{Max: limit, Now: testNow}))
		changed, rounds := 0, 0
		for i, c := range synthetic(30, 7, testNow) {
			c.Name = fmt.Sprintf("c%05d+", i*20)
			if i%2 == 0 {
				c.Updates = []int64{testNow - day} // created just now
			}
			more := append(slices.Clone(cs), c)
			for _, l := range names(more, Plan(more, Options{Max: limit, Now: testNow})) {
				if !slices.Contains(before, l) {
					changed++
				}
			}
			rounds++
		}
		t.Logf("max %d: a new component changes %.1f layers", limit, float64(changed)/float64(rounds))
		if changed > 4*rounds {
			t.Errorf("max %d: %d new components change %d layers", limit, rounds, changed)
		}
	}
}

func TestUnknownFingerprintIsUnchanged(t *testing.T) {
	cs := synthetic(100, 8, testNow)
	prev := layoutOf(cs, Plan(cs, Options{Max: 20, Now: testNow}))
	want := names(cs, Plan(cs, Options{Max: 20, Now: testNow, Previous: prev}))
	for i := range cs {
		cs[i].Fingerprint = ""
	}
	if got := names(cs, Plan(cs, Options{Max: 20, Now: testNow, Previous: prev})); !reflect.DeepEqual(got, want) {
		t.Error("components without a fingerprint count as changed")
	}
}

// TestFamiliesLeaveNoLayer uses four families that contain all but the largest components. If there
// are fewer families than layers, their members get the remaining layers.
func TestFamiliesLeaveNoLayer(t *testing.T) {
	const n, largest, limit = 150, 50, 100
	var cs []Component
	for i := range n {
		c := Component{Name: fmt.Sprintf("c%03d", i), Size: int64(n-i) << 20}
		for at := testNow - int64(100+2*(i%4))*week; i >= largest && at < testNow; at += 8 * week {
			c.Updates = append(c.Updates, at)
		}
		cs = append(cs, c)
	}
	if got := len(Plan(cs, Options{Max: limit, Now: testNow})); got != limit {
		t.Errorf("%d layers of %d", got, limit)
	}
}

// TestGolden pins plans for a fixed input. A change here rearranges every user's image once and
// must be listed in the changelog.
func TestGolden(t *testing.T) {
	var cs []Component
	for i := range 14 {
		c := Component{Name: string(rune('a' + i)), Size: int64(i*i+1) << 14}
		for at := testNow - 140*week; at < testNow-int64(i)*day; at += int64(1+i%5*i) * week {
			c.Updates = append(c.Updates, at)
		}
		cs = append(cs, c)
	}
	changed := slices.Clone(cs)
	prev := layoutOf(cs, Plan(cs, Options{Max: 4, Now: testNow}))
	for i := range changed {
		changed[i].Fingerprint = "old"
		if i%4 == 1 {
			changed[i].Fingerprint = "new"
		}
	}
	for l := range prev.Layers {
		for m := range prev.Layers[l] {
			prev.Layers[l][m].Fingerprint = "old"
		}
	}
	for _, tc := range []struct {
		name string
		cs   []Component
		opt  Options
		want []string
	}{
		{"two layers", cs, Options{Max: 2, Now: testNow}, goldenTwo},
		{"four layers", cs, Options{Max: 4, Now: testNow}, goldenFour},
		{"a suite", suite(), Options{Max: 8, Now: testNow}, goldenSuite},
		{"previous", changed, Options{Max: 4, Now: testNow, Previous: prev}, goldenPrevious},
	} {
		got := Plan(tc.cs, tc.opt)
		var lines []string
		for i, n := range names(tc.cs, got) {
			lines = append(lines, fmt.Sprintf("%d %s", got[i].Stability, n))
		}
		if !slices.Equal(lines, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, lines, tc.want)
		}
	}
}

// suite returns 36 components with separate releases, and five small ones that are always released
// together.
func suite() (cs []Component) {
	for i := range 41 {
		c := Component{Name: fmt.Sprintf("own%02d", i), Size: int64(50-i) << 16}
		first, every := testNow-int64(100+i)*week, int64(3+i%7)*week
		if i >= 36 {
			c.Name, first, every = fmt.Sprintf("suite%d", i), testNow-100*week, 5*week
		}
		for at := first; at < testNow; at += every {
			c.Updates = append(c.Updates, at)
		}
		cs = append(cs, c)
	}
	return cs
}

var (
	goldenSuite = []string{
		"741551 own01", "551120 own02 own03 own04", "668865 own00", "289912 own05 own06 own12 own13 own19 own20 own26 own27 own34",
		"409817 own10 own11 own17 own18 own24", "376516 own21 own28 own31", "652166 suite39 suite40",
		"13756 own07 own08 own09 own14 own15 own16 own22 own23 own25 own29 own30 own32 own33 own35 suite36 suite37 suite38",
	}
	goldenTwo      = []string{"100792 k", "1152 a b c d e f g h i j l m n"}
	goldenFour     = []string{"744108 h i j m n", "905336 l", "100792 k", "1711 a b c d e f g"}
	goldenPrevious = []string{"851331 i m n", "791311 h j l", "100792 k", "1711 a b c d e f g"}
)

func BenchmarkPlan(b *testing.B) {
	cs := synthetic(3000, 1, testNow)
	for b.Loop() {
		Plan(cs, Options{Max: 128, Now: testNow})
	}
}

// BenchmarkPlanMany plans a root with many large files, as a hostile root could contain.
func BenchmarkPlanMany(b *testing.B) {
	for _, n := range []int{4000, 16000, 64000} {
		cs := synthetic(n, 1, testNow)
		prev := layoutOf(cs, Plan(cs, Options{Max: 64, Now: testNow}))
		for i := range cs {
			if i%10 == 0 {
				cs[i].Fingerprint = "2"
			}
		}
		for _, opt := range []Options{{Max: 64, Now: testNow}, {Max: 64, Now: testNow, Previous: prev}} {
			b.Run(fmt.Sprintf("%d/previous=%v", n, opt.Previous != nil), func(b *testing.B) {
				for b.Loop() {
					Plan(cs, opt)
				}
			})
		}
	}
}

func BenchmarkPlanPrevious(b *testing.B) {
	cs := synthetic(3000, 1, testNow)
	prev := layoutOf(cs, Plan(cs, Options{Max: 128, Now: testNow}))
	for i := range cs {
		if i%10 == 0 {
			cs[i].Fingerprint = "2"
		}
	}
	for b.Loop() {
		Plan(cs, Options{Max: 128, Now: testNow, Previous: prev})
	}
}
