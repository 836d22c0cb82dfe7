package write

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
)

// A plan that is too large for the history loses its times first, and the report says what was left
// out.
func TestPlanTooLarge(t *testing.T) {
	for _, test := range []struct {
		components int
		want       string
	}{{1000, ""}, {4800, "times"}, {5240, "times and surprises"}, {7000, "times and fingerprints"}} {
		rec := &format.Layer{}
		for i := range test.components {
			rec.Components = append(rec.Components, fmt.Sprintf("app/%s%04d", strings.Repeat("x", 150), i))
		}
		rec.Fingerprints = slices.Repeat([]string{strings.Repeat("f", 32)}, test.components)
		rec.Times = slices.Repeat([]int64{1_700_000_000}, test.components)
		rec.Contents = slices.Repeat([]string{strings.Repeat("c", 16)}, test.components)
		rec.Updated = slices.Repeat([]int64{20_000}, test.components)
		rec.Surprises = slices.Repeat([]int64{0}, test.components)
		img := &image{layers: []layerFiles{{record: rec}}}
		lines, lacks, err := img.comments()
		if err != nil || lacks != test.want || len(lines) != 1 {
			t.Fatalf("%d components: lacks %q, %v, want %q", test.components, lacks, err, test.want)
		}
		if got := strings.Contains(lines[0], `"times"`); got != (lacks == "") {
			t.Errorf("%d components: times in the plan: %t", test.components, got)
		}
		if got := strings.Contains(lines[0], `"surprises"`); got != (lacks == "" || lacks == "times") {
			t.Errorf("%d components: surprises in the plan: %t", test.components, got)
		}
		if got := strings.HasPrefix(lines[0], `{"layer"`); got != (lacks != "times and fingerprints") {
			t.Errorf("%d components: a record: %t", test.components, got)
		}
	}
}
