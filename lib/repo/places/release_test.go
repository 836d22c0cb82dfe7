package places

import (
	"slices"
	"testing"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
)

// Only plausible release times are used, and a component keeps the latest of them.
func TestReleased(t *testing.T) {
	const written = 1_700_000_000
	tree := assign.NewTree(nil, []*format.File{{Path: "/record", Type: format.TypeFile, MTime: written}})
	c := New("x", tree)
	p := c.Add("/", "a")
	for _, at := range []int64{1_650_000_000, 1_600_000_000, 1_650_000_000, 315_619_200, 499_137_600, 0, -5, written + 2*slack, 1 << 60} {
		c.Released(p, 0, time.Unix(at, 0))
	}
	c.Released(p, 0, time.Time{})
	if want := []int64{1_600_000_000, 1_650_000_000}; !slices.Equal(p.Component.Updates, want) {
		t.Errorf("got %v, want %v", p.Component.Updates, want)
	}
	for i := range int64(3000) {
		c.Released(p, 0, time.Unix(earliest+i, 0))
	}
	if got := p.Component.Updates; len(got) != maxReleases || got[maxReleases-1] != 1_650_000_000 {
		t.Errorf("%d releases, the last of %d", len(got), got[len(got)-1])
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]int64{"2022-02-28": 1_646_006_400, "": time.Time{}.Unix(), "soon": time.Time{}.Unix(), "2022-02-30": time.Time{}.Unix()} {
		if got := ParseTime(text, time.RFC3339, time.DateOnly).Unix(); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}
