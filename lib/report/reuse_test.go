package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"chunkah/lib/reuse"
)

// The table of reuse lists the largest downloads, and one line has the sums of all others. A sum
// with an unknown size is unknown.
func TestReuseListsLargest(t *testing.T) {
	const parts = maxParts + 5
	step := &reuse.Step{Old: "oci:a", New: "oci:b"}
	for i := range int64(parts) {
		step.Parts = append(step.Parts, reuse.Part{
			Component: fmt.Sprintf("c%d", i), Download: new(100 + i), Changed: new(i), Unchanged: new(int64(100)),
			State: reuse.StateChanged,
		})
	}
	show := func() string {
		var out bytes.Buffer
		p := New(&out)
		Series(p, &reuse.Series{Steps: []*reuse.Step{step}}, reuse.Podman)
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(out.String()), " ") // the width of columns does not matter
	}
	text := show()
	// The five smallest are 100 to 104 bytes, of which 0 to 4 changed.
	if want := "510 bytes 10 bytes 500 bytes - 5 more rows, which --json lists"; !strings.Contains(text, want) {
		t.Errorf("got\n%swant a line %q", text, want)
	}
	if !strings.Contains(text, " c5: ") || strings.Contains(text, " c4: ") {
		t.Errorf("the largest parts are c5 to c24:\n%s", text)
	}
	step.Parts[2].Changed, step.Parts[2].Unchanged = nil, nil // not read
	if text, want := show(), "510 bytes - - - 5 more rows"; !strings.Contains(text, want) {
		t.Errorf("got\n%swant a line with %q", text, want)
	}
	step.Parts = step.Parts[:maxParts]
	if text := show(); strings.Contains(text, "more rows") {
		t.Errorf("all rows are shown:\n%s", text)
	}
}
