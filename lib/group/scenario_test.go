package group

import "testing"

// TestSomeSkip checks that fewer layers mean more clients that skip images, and that components
// that never change stay unchanged for all clients.
func TestSomeSkip(t *testing.T) {
	for limit, want := range map[int]uint64{1: 60, 16: 60, 32: 50, 64: 25, 128: 12, 256: 6, 2000: 0} {
		c := someSkip(limit)
		if weeks, spans := c.week*scenarios, c.span*months; spans*100 != c.sum*want || weeks+spans != c.sum {
			t.Errorf("%d layers: weeks weigh %d and spans %d of %d, want %d %% for the spans", limit, weeks, spans, c.sum, want)
		}
		var o odds
		for i := range o {
			o[i] = uint32(one)
		}
		if s := o.sums(); c.mean(&s) != one {
			t.Errorf("%d layers: chance of an unchanging component to stay: %d of %d", limit, c.mean(&s), one)
		}
	}
}
