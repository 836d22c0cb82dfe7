package pack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/layer"
)

// largeComponent is a component of many files in its own directories.
func largeComponent(r *rand.Rand, n int) []format.Record {
	records := []format.Record{dir("/"), dir("/data", "big")}
	for i := range n {
		if i%50 == 0 {
			records = append(records, dir(fmt.Sprintf("/data/d%04d", i/50), "big"))
		}
		records = append(records, with(file(fmt.Sprintf("/data/d%04d/f%05d", i/50, i), "big"), func(f *format.File) {
			f.Size, f.MTime = r.Int64N(40_000), 1_600_000_000+r.Int64N(1e6)
		}))
	}
	return records
}

// For any tree, no layer exceeds the size limit unless it consists of one file, there are not too
// many layers, and the layers are consistent.
func TestMaxLayerSizeProperties(t *testing.T) {
	refused := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 21))
		records := randomTree(r)
		for _, rec := range records {
			if f, ok := rec.(*format.File); ok && f.Type == format.TypeFile && f.Hardlink == 0 {
				f.Size = r.Int64N(1 << uint(r.IntN(16)))
			}
		}
		most, limit := 6000+r.Int64N(60_000), 2+r.IntN(20)
		p, report, err := try(Options{Max: limit, MaxLayerSize: most}, clone(records)...)
		if err != nil {
			if !strings.Contains(err.Error(), "--max-layer-size") {
				t.Fatal(err)
			}
			refused++
			continue
		}
		checkHeld(t, p, records)
		checkLayers(t, p)
		checkGroups(t, p)
		if len(p.layers) > limit {
			t.Errorf("%d layers, %d at most", len(p.layers), limit)
		}
		for i, l := range p.layers {
			if n := layer.Size(l.files); n > most && !oversized(report, l) {
				t.Errorf("layer %d has %d bytes, %d at most:\n%s", i, n, most, l.records())
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if refused < 10 || refused > 300 {
		t.Errorf("%d of 400 were refused", refused)
	}
}

// oversized reports whether a layer consists of one file, with all its hard links, that the report
// lists as oversized.
func oversized(r *Report, l *packedLayer) bool {
	var files []*format.File
	for _, f := range l.files {
		if f.Type != format.TypeDir || !f.Implied {
			files = append(files, f)
		}
	}
	for _, f := range files[1:] {
		if f.Hardlink == 0 || f.Hardlink != files[0].Hardlink {
			return false
		}
	}
	return slices.ContainsFunc(r.Oversized, func(o Oversized) bool { return o.Path == files[0].Path && o.Bytes >= layer.Size(l.files) })
}

// If a file in a split component changes, only the part that contains the file changes.
func TestPartsStay(t *testing.T) {
	inserted := func(at string) func([]format.Record) []format.Record {
		return func(records []format.Record) []format.Record {
			n, _ := slices.BinarySearchFunc(records, at, func(rec format.Record, path string) int {
				return format.ComparePaths(rec.(*format.File).Path, path)
			})
			return slices.Insert(records, n, format.Record(with(file(at, "big"), func(f *format.File) { f.Size = 20_000 })))
		}
	}
	tests := []struct {
		name   string
		change func([]format.Record) []format.Record
	}{
		{"a file at the front", inserted("/data/d0000/a")},
		{"a file in the middle", inserted("/data/d0050/f02500x")},
		{"a file at the end", inserted("/data/z")},
		{"a file gone", func(records []format.Record) []format.Record { return slices.Delete(records, 2600, 2601) }},
		{"a file grown", func(records []format.Record) []format.Record {
			records[2600].(*format.File).Size += 300_000
			return records
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(5) {
				opt := Options{Max: MaxMax, MaxLayerSize: 2_000_000}
				records := largeComponent(rand.New(rand.NewPCG(seed, 22)), 5000)
				before, _ := run(t, opt, clone(records)...)
				after, _ := run(t, opt, tt.change(clone(records))...)
				was, changed := map[string]bool{}, 0
				for _, l := range before.layers {
					was[l.records()] = true
				}
				for _, l := range after.layers {
					if !was[l.records()] {
						changed++
					}
				}
				if n := len(before.layers); n < 40 || n > 150 || changed == 0 || changed > 3 {
					t.Errorf("%d of %d layers changed", changed, n)
				}
			}
		})
	}
}

// Parts are components: they keep their names and fingerprints, so that a plan matches them again.
func TestPartsAreComponents(t *testing.T) {
	records := append(largeComponent(rand.New(rand.NewPCG(1, 23)), 500), file("/other", "other"),
		&format.Component{Name: "big", IntervalDays: 7, MtimeClamp: 1_600_500_000, HasMtimeClamp: true, Fingerprint: "own"})
	opt := Options{Max: 8, MaxLayerSize: 3_000_000}
	p, report := run(t, opt, clone(records)...)
	seen := map[string]bool{}
	for _, c := range p.components {
		if c.Name == "other" {
			continue
		}
		name, suffix, cut := strings.Cut(c.Name, "#")
		if name != "big" || !cut || len(suffix) != 8 || c.IntervalDays != 7 || seen[c.Fingerprint] || c.Fingerprint == "own" ||
			c.MtimeClamp > 1_600_500_000 {
			t.Errorf("got the part %+v", *c)
		}
		seen[c.Fingerprint] = true
	}
	if len(seen) < 4 {
		t.Errorf("%d parts", len(seen))
	}
	opt.PreviousLayout = layoutOf(report)
	again, _ := run(t, opt, clone(records)...)
	if got, want := again.listing(), p.listing(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A part's name can already be in use.
func TestPartNamesAreUnique(t *testing.T) {
	records := largeComponent(rand.New(rand.NewPCG(1, 24)), 100)
	opt := Options{Max: 64, MaxLayerSize: 1_000_000}
	p, _ := run(t, opt, clone(records)...)
	taken := p.components[0].Name
	p, _ = run(t, opt, append(clone(records), file("/own", taken))...)
	var names []string
	for _, l := range p.layers {
		names = append(names, l.Components...)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) || !slices.Contains(names, taken) || !slices.Contains(names, taken+"#") {
		t.Errorf("got %q", names)
	}
	if l := p.of(t, taken); l.file(t, "/own").Components[0] != taken {
		t.Errorf("got\n%s", l.records())
	}
}

func TestMaxLayerSizeIsTooSmall(t *testing.T) {
	records := largeComponent(rand.New(rand.NewPCG(1, 25)), 500)
	_, _, err := try(Options{Max: 3, MaxLayerSize: 1_000_000}, records...)
	if err == nil || !strings.Contains(err.Error(), "at most 1000000 (--max-layer-size)") || !strings.Contains(err.Error(), "--max is 3") {
		t.Errorf("got %v", err)
	}
}
