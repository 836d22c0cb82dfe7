package write

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/oci"
	"chunkah/lib/plan"
)

// If a plan is too large for the history, the times are left out first, and the report describes
// what was left out.
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
		lines, lacks, err := img.comments(nil)
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

// The stream's record of a kept layer's components or entries replaces the layer's comment. A
// comment that is not a record, or that lists other components, is kept.
func TestCommentsOfKeptLayers(t *testing.T) {
	record := func(surprises int64, components ...string) *format.Layer {
		l := &format.Layer{Components: components}
		for range components {
			l.Fingerprints, l.Surprises = append(l.Fingerprints, "1"), append(l.Surprises, surprises)
		}
		return l
	}
	text := func(l *format.Layer) string {
		line, err := plan.Comment(l)
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	now := record(5, "a", "b")
	now.DiffID = "sha256:" + strings.Repeat("1", 64)
	renewed := text(record(5, "a", "b"))
	wrong := record(4, "a")
	wrong.Entries = "sha256:" + strings.Repeat("0", 64)
	names := strings.Repeat("x", maxPlan)
	for was, want := range map[string]string{
		text(record(4, "a", "b")): renewed,
		renewed:                   renewed,
		text(record(4, "a")):      text(record(4, "a")),
		text(wrong):               renewed,
		"a, b":                    "a, b",
		"made by hand":            "made by hand",
		names:                     names,
	} {
		img := &image{kept: []keptFiles{{record: now}}, layers: []layerFiles{{record: record(1, "c")}}}
		kept := []StoredLayer{{Layer: oci.Layer{History: v1.History{CreatedBy: plan.Author, Comment: was}}}}
		lines, lacks, err := img.comments(kept)
		if err != nil || len(lines) != 2 || lines[0] != want {
			t.Errorf("%.50q: %.100q, %v", was, lines, err)
		}
		if large := was == names; large != (lacks != "") || large == (lines[1] == text(record(1, "c"))) {
			t.Errorf("%.50q: lacks %q, and the new layer has %q", was, lacks, lines[1])
		}
	}
}
