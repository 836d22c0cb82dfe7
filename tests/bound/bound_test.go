package bound

import (
	"slices"
	"testing"
)

// recorder is a test that records its result.
type recorder struct {
	testing.TB
	cleanups []func()
	failed   bool
}

func (r *recorder) Cleanup(f func())      { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(string, ...any) { r.failed = true }

var kept []byte

func TestMemory(t *testing.T) {
	for name, c := range map[string]struct {
		takes int
		want  bool
	}{"little": {1 << 10, false}, "too much": {anyInput + 3*eachByte + 1<<20, true}} {
		r := &recorder{TB: t}
		Input(r, 3)
		kept = slices.Repeat([]byte{1}, c.takes)
		for _, f := range r.cleanups {
			f()
		}
		if r.failed != c.want {
			t.Errorf("%s: failed is %t", name, r.failed)
		}
	}
}
