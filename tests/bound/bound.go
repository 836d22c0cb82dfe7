// Package bound keeps one input of a fuzz target within bounds of time and memory,
// of which go test has none: a target that hangs or swells on an input would look
// like one that finds nothing.
package bound

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// maxTime is how long one input may take: thousands of times what any does, so that
// a machine that is busy is no fault.
const maxTime = 30 * time.Second

// What an input may allocate, in bytes, and for each byte of it: enough to read it a
// few times over and to show what came of it, and too little for a bomb.
const (
	anyInput = 16 << 20
	eachByte = 4 << 10
)

// Input bounds a target's work on an input of so many bytes, from here to its end.
func Input(t testing.TB, size int) { Memory(t, anyInput+eachByte*size) }

// Memory is Input with so many bytes to allocate, those that are freed counted too.
// What takes too long ends the process, whose last input go test keeps.
func Memory(t testing.TB, most int) {
	timer := time.AfterFunc(maxTime, func() {
		debug.SetTraceback("all") // the one that hangs is another goroutine
		panic(fmt.Sprintf("%s: one input takes more than %v", t.Name(), maxTime))
	})
	before := allocated()
	t.Cleanup(func() {
		timer.Stop()
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
