package pack

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/group"
)

// layoutOf returns the layout for the next build.
func layoutOf(r *Report) *group.Previous {
	prev := &group.Previous{Times: make(map[string]group.Dated), Learned: make(map[string]group.Learned)}
	for _, l := range r.Plan {
		var members []group.Member
		for i, name := range l.Record.Components {
			members = append(members, group.Member{Name: name, Fingerprint: l.Record.Fingerprints[i]})
			if len(l.Record.Contents) > 0 && l.Record.Contents[i] != "" {
				prev.Times[name] = group.Dated{Contents: l.Record.Contents[i], Time: l.Record.Times[i]}
			}
			var learned group.Learned
			if len(l.Record.Updated) > 0 {
				learned.Updated = l.Record.Updated[i]
			}
			if len(l.Record.Surprises) > 0 {
				learned.Surprises = group.Surprises(l.Record.Surprises[i])
			}
			prev.Learned[name] = learned
		}
		prev.Layers = append(prev.Layers, members)
	}
	return prev
}

// manyComponents returns components of one file each, with and without histories.
func manyComponents(r *rand.Rand, n int) []format.Record {
	var components, files []format.Record
	for i := range n {
		name := fmt.Sprintf("c%04d", i)
		if r.IntN(4) > 0 {
			c := &format.Component{Name: name}
			for range 1 + r.IntN(9) {
				c.Updates = append(c.Updates, 1_500_000_000+r.Int64N(200_000_000))
			}
			components = append(components, c)
		}
		files = append(files, with(file("/"+name, name), func(f *format.File) {
			f.Size, f.MTime = r.Int64N(1<<uint(8+r.IntN(18))), 1_700_000_000
		}))
	}
	return slices.Concat(components, files)
}

// While nothing changes, the plan and the stream stay the same.
func TestPlanStaysWhenNothingChanges(t *testing.T) {
	for _, n := range []int{10, 60, 300} {
		for _, most := range []int64{0, 50_000_000} {
			opt := Options{Max: 24, MaxLayerSize: most}
			records := manyComponents(rand.New(rand.NewPCG(uint64(n), 11)), n)
			p, report := run(t, opt, clone(records)...)
			want := p.listing()
			for round := range 20 {
				opt.PreviousLayout = layoutOf(report)
				p, report = run(t, opt, clone(records)...)
				if got := p.listing(); got != want {
					t.Fatalf("%d components, %d bytes, round %d: got\n%s\nwant\n%s", n, most, round, got, want)
				}
			}
		}
	}
}

// grow changes one file.
func grow(records []format.Record, path string) {
	for _, rec := range records {
		if f, ok := rec.(*format.File); ok && f.Path == path {
			f.Size += 512
		}
	}
}

// moved counts the layers with a set of components that no layer had before.
func moved(before, after *packed) (n int) {
	was := sets(before)
	for set := range sets(after) {
		if !was[set] {
			n++
		}
	}
	return n
}

// sets returns the set of the layers' components, formatted as strings.
func sets(p *packed) map[string]bool {
	m := map[string]bool{}
	for _, l := range p.layers {
		m[strings.Join(l.Components, " ")] = true
	}
	return m
}

// If a component is added, removed or changed, only a few of the layers that a client already has
// are affected. With the previous plan, hardly any layers except the component's own layer are
// affected.
func TestOneComponentMovesFewLayers(t *testing.T) {
	const limit = 32
	tests := []struct {
		name   string
		change func([]format.Record) []format.Record
	}{
		{"gone", func(records []format.Record) []format.Record {
			return slices.DeleteFunc(records, func(rec format.Record) bool {
				f, ok := rec.(*format.File)
				return ok && f.Path == "/c0100"
			})
		}},
		{"new", func(records []format.Record) []format.Record { return append(records, file("/new", "new")) }},
		{"changed", func(records []format.Record) []format.Record {
			grow(records, "/c0100")
			return records
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(5) {
				records := manyComponents(rand.New(rand.NewPCG(seed, 12)), 300)
				before, report := run(t, Options{Max: limit}, clone(records)...)
				after, _ := run(t, Options{Max: limit}, tt.change(clone(records))...)
				if n := moved(before, after); n > limit/8 {
					t.Errorf("%d of %d layers hold something else", n, limit)
				}
				// The second plan can change more layers, because some data were missing in the
				// first plan.
				grow(records, "/c0200")
				before, report = run(t, Options{Max: limit, PreviousLayout: layoutOf(report)}, clone(records)...)
				after, _ = run(t, Options{Max: limit, PreviousLayout: layoutOf(report)}, tt.change(clone(records))...)
				if n := moved(before, after); n > limit/8 {
					t.Errorf("with the previous plan %d of %d layers hold something else", n, limit)
				}
			}
		})
	}
}

// Layers contain only the hash of a long fingerprint, and pack compares that hash.
func TestLongFingerprints(t *testing.T) {
	records := func(long string) []format.Record {
		return []format.Record{&format.Component{Name: "a", Fingerprint: long}, &format.Component{Name: "b", Fingerprint: "short"},
			file("/a", "a"), file("/b", "b")}
	}
	long := strings.Repeat("0123456789abcdef", 4)
	p, report := run(t, Options{}, records(long)...)
	a, b := p.of(t, "a").Fingerprints[0], p.of(t, "b").Fingerprints[0]
	if len(a) != 2*fingerprintSize || strings.HasPrefix(long, a) || b != "short" || p.components[0].Fingerprint != long {
		t.Errorf("got %q and %q, beside %+v", a, b, *p.components[0])
	}
	other, _ := run(t, Options{}, records(long[:63]+"0")...)
	if other.of(t, "a").Fingerprints[0] == a {
		t.Error("two fingerprints have the same hash")
	}
	_, again := run(t, Options{PreviousLayout: layoutOf(report)}, records(long)...)
	if !reflect.DeepEqual(again.Plan, report.Plan) {
		t.Errorf("got %+v, want %+v", again.Plan, report.Plan)
	}
}

// oddLayout returns a random layout. It contains components of this tree and other components, some
// of them twice, and some empty layers.
func oddLayout(r *rand.Rand, report *Report) *group.Previous {
	prev := &group.Previous{}
	known := slices.Concat(layoutOf(report).Layers...)
	for range r.IntN(8) {
		var members []group.Member
		for range r.IntN(5) {
			m := known[r.IntN(len(known))]
			switch r.IntN(6) {
			case 0:
				m.Name = "gone"
			case 1:
				m.Fingerprint = "another"
			case 2:
				m.Fingerprint = ""
			}
			members = append(members, m)
		}
		prev.Layers = append(prev.Layers, members)
	}
	return prev
}

// With any previous layout, each component is in one layer, and there are not too many layers.
func TestPropertiesWithPrevious(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 13))
		records := randomTree(r)
		most := 1 + r.IntN(8)
		_, report := run(t, Options{Max: most}, clone(records)...)
		prev := oddLayout(r, report)
		p, _ := run(t, Options{Max: most, PreviousLayout: prev, Explain: true}, clone(records)...)
		checkHeld(t, p, records)
		checkLayers(t, p)
		var names []string
		for _, l := range p.layers {
			names = append(names, l.Components...)
		}
		slices.Sort(names)
		if len(slices.Compact(slices.Clone(names))) != len(names) || len(names) != len(p.components) || len(p.layers) > most {
			t.Errorf("%d layers, %d at most, hold %q of %d components", len(p.layers), most, names, len(p.components))
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// The order of the layers in a layout, and of the components in a layer, does not matter.
func TestPreviousOrderIsIrrelevant(t *testing.T) {
	records := manyComponents(rand.New(rand.NewPCG(3, 14)), 200)
	_, report := run(t, Options{Max: 20}, clone(records)...)
	prev := layoutOf(report)
	grow(records, "/c0007")
	want, _ := run(t, Options{Max: 20, PreviousLayout: prev}, clone(records)...)
	r := rand.New(rand.NewPCG(4, 15))
	for range 5 {
		r.Shuffle(len(prev.Layers), func(i, j int) { prev.Layers[i], prev.Layers[j] = prev.Layers[j], prev.Layers[i] })
		for _, l := range prev.Layers {
			r.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
		}
		if got, _ := run(t, Options{Max: 20, PreviousLayout: prev}, clone(records)...); got.sets() != want.sets() {
			t.Fatalf("got\n%s\nwant\n%s", got.sets(), want.sets())
		}
	}
}
