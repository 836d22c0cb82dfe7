// Package bound keeps one input of a fuzz target within bounds of memory, of which go
// test has none; of time it has one, ten seconds.
package bound

import (
	"runtime/metrics"
	"testing"
)

// What an input may allocate, in bytes, and for each byte of it: enough to read it a
// few times over and to show what came of it, and too little for a bomb.
const (
	anyInput = 16 << 20
	eachByte = 4 << 10
)

// Input bounds a target's work on an input of so many bytes, from here to its end.
func Input(t testing.TB, size int) { Memory(t, anyInput+eachByte*size) }

// Memory is Input with so many bytes to allocate, those that are freed counted too.
func Memory(t testing.TB, most int) {
	before := allocated()
	t.Cleanup(func() {
		if used := allocated() - before; used > uint64(most) {
			t.Errorf("one input took %d bytes of memory, more than %d", used, most)
		}
	})
}

// allocated is what this process has allocated so far, in bytes.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
