package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// secondLayout returns a layout that was itself planned with a previous layout, and its names.
func secondLayout(cs []Component, limit int) (*Previous, []string) {
	ls := Plan(cs, Options{Max: limit, Now: testNow, Previous: &Previous{}})
	prev := layoutOf(cs, ls)
	return prev, names(cs, ls)
}

// TestFewChanges checks that, if few components changed, few more layers change than necessary. If
// one component changed, only its layer changes.
func TestFewChanges(t *testing.T) {
	cs := synthetic(360, 9, testNow)
	for _, limit := range []int{24, 96} {
		prev, old := secondLayout(cs, limit)
		for _, every := range []int{20, len(cs)} {
			next := slices.Clone(cs)
			dirty := map[string]bool{}
			for i := 7; i < len(next); i += every {
				next[i].Fingerprint = "2"
				for l := range prev.Layers {
					if slices.Contains(prev.Layers[l], Member{next[i].Name, "1"}) {
						dirty[old[l]] = true
					}
				}
			}
			ls := Plan(next, Options{Max: limit, Now: testNow, Previous: prev})
			checkCover(t, next, limit, ls)
			var clean []string
			for _, l := range old {
				if !dirty[l] {
					clean = append(clean, l)
				}
			}
			anyway := newBytes(clean, old, cs)
			moved := newBytes(clean, names(next, ls), next)
			t.Logf("max %d, every %d: %.3f of the bytes are downloaded, at least %.3f", limit, every, moved, anyway)
			if moved > anyway*1.1 {
				t.Errorf("max %d, every %d: %.3f of the bytes are downloaded, but %.3f would be enough", limit, every, moved, anyway)
			}
		}
	}
}

// TestForeignPrevious checks that any layout is accepted, and that its usable layers are kept.
func TestForeignPrevious(t *testing.T) {
	cs := synthetic(200, 10, testNow)
	r := rand.New(rand.NewPCG(10, 10))
	whole := &Previous{Layers: make([][]Member, 1)}
	hashed := &Previous{Layers: make([][]Member, 40)}
	for i := range cs {
		m := Member{cs[i].Name, "1"}
		whole.Layers[0] = append(whole.Layers[0], m)
		n := r.IntN(len(hashed.Layers))
		hashed.Layers[n] = append(hashed.Layers[n], m)
	}
	twice := &Previous{Layers: append(slices.Clone(hashed.Layers), hashed.Layers[:20]...)}
	other := &Previous{Layers: [][]Member{{{"x", "1"}, {"y", ""}}, nil, {{"", ""}}}}
	cut := &Previous{Layers: hashed.Layers[:7]}
	for _, tc := range []struct {
		name string
		prev *Previous
		kept *Previous // most of its layers are kept
	}{
		{"one layer", whole, nil}, {"hashed", hashed, hashed}, {"every layer twice", twice, hashed},
		{"other components", other, nil}, {"cut short", cut, cut},
	} {
		for _, limit := range []int{1, 10, 39, 40, 100} {
			ls := Plan(cs, Options{Max: limit, Now: testNow, Previous: tc.prev})
			checkCover(t, cs, limit, ls)
			if tc.kept == nil || limit < 40 {
				continue
			}
			// 40 layers are enough for the kept layers and, if the layout was cut, for the rest.
			old := names(cs, layersOf(cs, tc.kept))
			stay := 0
			for _, l := range names(cs, ls) {
				if slices.Contains(old, l) {
					stay++
				}
			}
			if stay < len(old)*2/3 {
				t.Errorf("%s: %d of %d layers stay, at most %d", tc.name, stay, len(old), limit)
			}
		}
	}
}

func layersOf(cs []Component, p *Previous) (ls []Layer) {
	for _, l := range p.Layers {
		var out Layer
		for _, m := range l {
			out.Members = append(out.Members, slices.IndexFunc(cs, func(c Component) bool { return c.Name == m.Name }))
		}
		ls = append(ls, out)
	}
	return ls
}

// TestUnchangedLayoutStays checks that any layout, however it was made, is kept as long as nothing
// changes, whatever the time of the build.
func TestUnchangedLayoutStays(t *testing.T) {
	cs := synthetic(300, 11, testNow)
	prev, _ := secondLayout(cs, 40)
	for round := range 5 {
		for i := range cs {
			if i%11 == round {
				cs[i].Fingerprint = fmt.Sprint(round)
				cs[i].Updates = append(cs[i].Updates, testNow+int64(round)*week)
			}
		}
		now := testNow + int64(round)*week
		ls := Plan(cs, Options{Max: 40, Now: now, Previous: prev})
		prev = layoutOf(cs, ls)
		for _, later := range []int64{0, day, 60 * week, 1000 * week} {
			if got := names(cs, Plan(cs, Options{Max: 40, Now: now + later, Previous: prev})); !slices.Equal(got, names(cs, ls)) {
				t.Errorf("round %d: a different plan %d days later", round, later/day)
			}
		}
	}
}

// TestManyComponents uses more components than can be compared with each other. Each component must
// still be in one layer, and the time must not grow with the square.
func TestManyComponents(t *testing.T) {
	steps := map[int]int{}
	for _, n := range []int{2 * compared, 4 * compared} {
		cs := synthetic(n, 17, testNow)
		in := newInput(cs, Options{Max: 64, Now: testNow})
		hs := in.histories(in.now)
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		groups := in.pool(all, make([]odds, n))
		if len(groups) > compared+pools {
			t.Errorf("%d components: %d groups to compare", n, len(groups))
		}
		for _, g := range groups[:compared] {
			if len(g) != 1 || in.size[g[0]] < in.size[groups[compared][0]] {
				t.Fatalf("%d components: %v is not a single one of the largest", n, g)
			}
		}
		for _, p := range in.findPeers(hs, in.now) {
			if p.weight > 0 {
				steps[n]++
			}
		}
		if steps[n] > compared {
			t.Errorf("%d components: %d were compared", n, steps[n])
		}
		checkCover(t, cs, 64, Plan(cs, Options{Max: 64, Now: testNow, Previous: &Previous{}}))
	}
}
