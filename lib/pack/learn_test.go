package pack

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/group"
)

// If a component changes in every image although its history contains no update, it is eventually
// put into a layer that is expected to change. Without a previous image nothing is learned, and
// building the same image again gives the same result.
func TestLearn(t *testing.T) {
	const rebuilt = "c0007"
	records := slices.DeleteFunc(manyComponents(rand.New(rand.NewPCG(4, 4)), 120), func(rec format.Record) bool {
		c, ok := rec.(*format.Component)
		return ok && c.Name == rebuilt
	})
	yearly := &format.Component{Name: rebuilt, Updates: []int64{1_550_000_000, 1_580_000_000, 1_610_000_000}}
	records = append([]format.Record{yearly}, records...)
	opt := Options{Max: 12}
	p, report := run(t, opt, clone(records)...)
	first := p.of(t, rebuilt)
	if first.Updated != nil || first.Surprises != nil {
		t.Errorf("a plan without the last image: %+v", first.Layer)
	}
	for image := range 12 {
		grow(records, "/"+rebuilt)
		grow(records, "/c0100")
		if image == 3 { // an update that explains the change
			yearly.Updates = append(yearly.Updates, 1_640_000_000)
		}
		opt.PreviousLayout = layoutOf(report)
		p, report = run(t, opt, clone(records)...)
	}
	l := p.of(t, rebuilt)
	at := slices.Index(l.Components, rebuilt)
	// The first change is not recorded as a surprise, because the plan before it contains no days.
	// The second change marks the start. Ten more images follow, and the change in the second of
	// them is explained by an update.
	if got := l.Surprises[at]; got != 0b11011111111 {
		t.Errorf("surprises: %b", got)
	}
	if day := int64(1_640_000_000 / 86_400); l.Updated[at] != day {
		t.Errorf("updated on day %d, want %d", l.Updated[at], day)
	}
	if l.StabilityPPM > 400_000 || first.StabilityPPM < 500_000 {
		t.Errorf("the layer stays with %d ppm, and stayed with %d in the first image", l.StabilityPPM, first.StabilityPPM)
	}

	again, _ := run(t, Options{Max: 12, PreviousLayout: layoutOf(report)}, clone(records)...)
	if again.listing() != p.listing() {
		t.Error("an image that is built again differs")
	}
}

// statesOf returns the data that a plan records about each component. If a component is in several
// layers, the record of the uppermost layer is used.
func statesOf(r *Report) map[string]group.Learned {
	states := layoutOf(r).Learned
	delete(states, format.Deletions)
	return states
}

// In a chain of images with patch layers, most records belong to kept layers. The plan still
// contains the same data about each component as in a chain of images without patch layers.
func TestLearnWithPatchLayers(t *testing.T) {
	records := slices.Concat([]format.Record{dir("/")}, manyComponents(rand.New(rand.NewPCG(6, 6)), 60), []format.Record{
		file("/several/1", "several"), file("/several/2", "several"), file("/shrinks/1", "shrinks"), file("/shrinks/2", "shrinks"),
		&format.Component{Name: "retimed", MtimeClamp: 2000, HasMtimeClamp: true}, file("/retimed", "retimed"),
	}, []format.Record{dir("/several"), dir("/shrinks")})
	sortFiles(records)
	src := &texts{}
	ordinary := Options{Open: src.open, Max: 24}
	patches := ordinary
	patches.MaxStale = 100_000
	_, before := run(t, ordinary, records...)
	p, after := run(t, patches, records...)
	for image := range 20 {
		grow(records, "/c0007")
		if image%2 == 0 {
			grow(records, "/several/2")
		}
		switch image {
		case 2, 3: // two surprises, which get older
			grow(records, "/c0011")
		case 5: // no new layer contains the change
			records = altered(records, "/shrinks/2", nil)
			recordOf(records, "retimed").MtimeClamp = 3000
		case 8:
			records = altered(records, "/c0020", nil)
		case 9: // the component returns with other contents
			records = append(records, with(file("/c0020", "c0020"), func(f *format.File) { f.Size = 99 }))
			sortFiles(records)
		case 12: // an explained change
			recordOf(records, "retimed").Updates = []int64{1_750_000_000}
			grow(records, "/retimed")
		}
		ordinary.PreviousLayout, patches.PreviousLayout, patches.PreviousImage = layoutOf(before), layoutOf(after), imageOf(p)
		_, before = run(t, ordinary, records...)
		p, after = run(t, patches, records...)
		if after.Patch == nil || len(after.Patch.Kept) == 0 {
			t.Fatalf("image %d keeps no layer", image)
		}
		want, got := statesOf(before), statesOf(after)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got[name] != want[name] {
				t.Errorf("image %d: %q has %+v, and %+v without patch layers", image, name, got[name], want[name])
			}
		}

		patches.PreviousLayout, patches.PreviousImage = layoutOf(after), imageOf(p)
		again, report := run(t, patches, records...)
		if len(report.Patch.Kept) != len(p.layers) || withoutDiffIDs(again) != withoutDiffIDs(p) {
			t.Fatalf("image %d: an image that is built again differs", image)
		}
	}
}

// withoutDiffIDs lists an image without the diffIDs that mark kept layers, because only the stream
// contains them. It also leaves out what the records of kept layers do not contain.
func withoutDiffIDs(p *packed) string {
	var b strings.Builder
	for _, l := range p.layers {
		rec := *l.Layer
		rec.DiffID = ""
		files := filelist.Of(l.files...)
		b.WriteString((&packedLayer{Layer: &rec, files: slices.Collect(files.Copies())}).listing())
	}
	return b.String()
}

// sortFiles puts the files of a stream into order, after its components.
func sortFiles(records []format.Record) {
	path := func(rec format.Record) string {
		if f, ok := rec.(*format.File); ok {
			return f.Path
		}
		return ""
	}
	slices.SortStableFunc(records, func(a, b format.Record) int { return format.ComparePaths(path(a), path(b)) })
}

func recordOf(records []format.Record, name string) *format.Component {
	i := slices.IndexFunc(records, func(rec format.Record) bool {
		c, ok := rec.(*format.Component)
		return ok && c.Name == name
	})
	return records[i].(*format.Component)
}
