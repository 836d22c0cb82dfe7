package pyc

import (
	"testing"

	"chunkah/tests/bound"
)

// FuzzTime checks that the time of compiled Python depends only on its header, and that a header
// can store it.
func FuzzTime(f *testing.F) {
	f.Add([]byte("\x6f\x0d\r\n\x00\x00\x00\x00\x78\x56\x34\x12"))
	f.Add([]byte("\x6f\x0d\r\n\x01\x00\x00\x00\x78\x56\x34\x12"))
	f.Add([]byte("\x03\xf3\r\n\x78\x56\x34\x12c\x00\x00\x00"))
	f.Add([]byte("\x33\x0d\r\n\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		time, timed := Time(data)
		if timed && len(data) < HeaderSize {
			t.Fatalf("got %d, %t", time, timed)
		}
		if again, same := Time(data[:min(len(data), HeaderSize)]); again != time || same != timed {
			t.Fatalf("got %d, %t, and of the header alone %d, %t", time, timed, again, same)
		}
	})
}
