// Package bound bounds the memory that a fuzz target uses for one input. go test itself bounds only
// its time, to ten seconds.
package bound

import (
	"runtime/metrics"
	"testing"
)

// What an input may allocate, in bytes, and per byte of it: enough to read it a few times and to
// print the result, but too little for a bomb.
const (
	anyInput = 16 << 20
	eachByte = 4 << 10
)

// Input bounds a target's work on an input of size bytes, from the call to its end.
func Input(t testing.TB, size int) { Memory(t, anyInput+eachByte*size) }

// Memory bounds the allocations to most bytes, including those that are freed.
func Memory(t testing.TB, most int) {
	before := allocated()
	t.Cleanup(func() {
		if used := allocated() - before; used > uint64(most) {
			t.Errorf("one input took %d bytes of memory, more than %d", used, most)
		}
	})
}

// allocated returns the bytes that this process has allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
