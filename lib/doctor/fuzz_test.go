package doctor

import (
	"math"
	"testing"

	"chunkah/tests/bound"
)

// FuzzPycTime: the result depends only on the header, and is a time that the header can hold.
func FuzzPycTime(f *testing.F) {
	f.Add([]byte("\x6f\x0d\r\n\x00\x00\x00\x00\x78\x56\x34\x12"))
	f.Add([]byte("\x6f\x0d\r\n\x01\x00\x00\x00\x78\x56\x34\x12"))
	f.Add([]byte("\x03\xf3\r\n\x78\x56\x34\x12c\x00\x00\x00"))
	f.Add([]byte("\x33\x0d\r\n\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		time, timed := pycTime(data)
		if time < 0 || time > math.MaxUint32 || timed && len(data) < pycHeader {
			t.Fatalf("got %d, %t", time, timed)
		}
		if again, same := pycTime(data[:min(len(data), pycHeader)]); again != time || same != timed {
			t.Fatalf("got %d, %t, but %d, %t from the header alone", time, timed, again, same)
		}
	})
}
