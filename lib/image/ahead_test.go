package image

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// ahead returns the same bytes and the same error as the underlying reader, however that reader
// splits them.
func TestAhead(t *testing.T) {
	data := make([]byte, 3*aheadChunks*readBuffer+7)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	broken := errors.New("broken")
	for _, size := range []int{0, 1, readBuffer, readBuffer + 1, len(data)} {
		for name, in := range map[string]io.Reader{
			"whole":  bytes.NewReader(data[:size]),
			"halves": iotest.HalfReader(bytes.NewReader(data[:size])),
			"end":    iotest.DataErrReader(bytes.NewReader(data[:size])),
			"broken": io.MultiReader(bytes.NewReader(data[:size]), iotest.ErrReader(broken)),
		} {
			a := newAhead(in)
			got, err := io.ReadAll(a)
			if wantErr := name == "broken"; !bytes.Equal(got, data[:size]) || wantErr != errors.Is(err, broken) {
				t.Errorf("%s, %d bytes: got %d, %v", name, size, len(got), err)
			}
			if n, err := a.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("%s, %d bytes: after the end: %d, %v", name, size, n, err)
			}
			a.stop()
		}
	}
}

// After stop, no goroutine reads from the underlying reader, wherever its caller stopped.
func TestAheadStops(t *testing.T) {
	for _, size := range []int{0, 1, readBuffer, 2 * aheadChunks * readBuffer} {
		in := &counter{in: iotest.HalfReader(bytes.NewReader(make([]byte, 8*aheadChunks*readBuffer)))}
		a := newAhead(in)
		if _, err := io.CopyN(io.Discard, a, int64(size)); err != nil {
			t.Fatal(err)
		}
		a.stop()
		a.stop()
		read := in.read // the race detector reports a reader that is not stopped
		if most := int64(size + (aheadChunks+1)*readBuffer); read > most {
			t.Errorf("%d bytes were read for %d", read, size)
		}
	}
}
