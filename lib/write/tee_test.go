package write

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
)

// Pieces of all sizes are hashed and counted in order, and an error from the writer is returned.
func TestTee(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcde"), copyBuffer/4)
	var got bytes.Buffer
	out := &tee{sum: sha256.New(), w: &got}
	for rest, n := data, copyBuffer; len(rest) > 0; n = n/2 + 1 {
		m, err := out.Write(rest[:min(n, len(rest))])
		if err != nil {
			t.Fatal(err)
		}
		if rest = rest[m:]; n < 1000 {
			n = copyBuffer
		}
	}
	if want := sha256.Sum256(data); !bytes.Equal(out.sum.Sum(nil), want[:]) || !bytes.Equal(got.Bytes(), data) || out.size != int64(len(data)) {
		t.Errorf("got %d bytes with another digest, or in another order", out.size)
	}
	full := errors.New("full")
	out = &tee{sum: sha256.New(), w: writerFunc(func([]byte) (int, error) { return 7, full })}
	if _, err := out.Write(data); !errors.Is(err, full) || out.size != 7 {
		t.Errorf("got %v after %d bytes", err, out.size)
	}
}
