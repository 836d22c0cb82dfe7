package pack

import (
	"math/rand/v2"
	"slices"
	"testing"

	"chunkah/format"
)

// A component that changes in every image although its history has no update ends in a layer that
// is expected to change. Without the previous image nothing is learned, and an image that is built
// again is the same.
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
		opt.Previous = layoutOf(report)
		p, report = run(t, opt, clone(records)...)
	}
	l := p.of(t, rebuilt)
	at := slices.Index(l.Components, rebuilt)
	// The first change is not known to be a surprise, since the plan before has no days. The second
	// one marks the start. Ten more images follow, of which the second has an explanation.
	if got := l.Surprises[at]; got != 0b11011111111 {
		t.Errorf("surprises: %b", got)
	}
	if day := int64(1_640_000_000 / 86_400); l.Updated[at] != day {
		t.Errorf("updated on day %d, want %d", l.Updated[at], day)
	}
	if l.StabilityPPM > 400_000 || first.StabilityPPM < 500_000 {
		t.Errorf("the layer stays with %d ppm, and stayed with %d in the first image", l.StabilityPPM, first.StabilityPPM)
	}

	again, _ := run(t, Options{Max: 12, Previous: layoutOf(report)}, clone(records)...)
	if again.listing() != p.listing() {
		t.Error("an image that is built again differs")
	}
}
