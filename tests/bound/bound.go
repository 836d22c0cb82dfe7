// Package bound limits the memory that a fuzz target uses for one input. go test itself limits only
// the time for an input, to ten seconds.
package bound

import (
	"runtime/metrics"
	"testing"
)

// The limits on allocations: a number of bytes for any input, and an additional number for each
// byte of the input. They are large enough to read the input a few times and to print the result,
// but too small for a decompression bomb.
const (
	anyInput = 16 << 20
	eachByte = 4 << 10
)

// Input limits a target's allocations for an input of size bytes, from the call to the end of the
// test.
func Input(t testing.TB, size int) { Memory(t, anyInput+eachByte*size) }

// Memory limits the allocations until the end of the test to the given number of bytes, including
// memory that is freed again.
func Memory(t testing.TB, most int) {
	before := allocated()
	t.Cleanup(func() {
		if used := allocated() - before; used > uint64(most) {
			t.Errorf("one input took %d bytes of memory, more than %d", used, most)
		}
	})
}

// allocated returns the number of bytes that this process has allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
