package oci

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// forgetful has a ReadFrom that behaves like os.File after a partial copy: it returns only the size
// of the second part.
type forgetful struct{ bytes.Buffer }

func (f *forgetful) ReadFrom(r io.Reader) (int64, error) {
	if _, err := io.CopyN(&f.Buffer, r, 3); err != nil {
		return 0, err
	}
	return io.Copy(&f.Buffer, struct{ io.Reader }{r})
}

// TestCopyCountsAll checks that the count includes both parts, and that copyFrom copies no more
// than the limit.
func TestCopyCountsAll(t *testing.T) {
	for _, most := range []int64{4, 10, 11, 100} {
		want := "0123456789"[:min(most, 10)]
		plain := strings.NewReader("0123456789")
		var w forgetful
		if n, err := copyFrom(&w, plain, most); n != int64(len(want)) || err != nil || w.String() != want {
			t.Errorf("%d at most: %d bytes, %v, %q", most, n, err, w.String())
		}
		limited := &io.LimitedReader{R: strings.NewReader("0123456789"), N: 8}
		w, want = forgetful{}, want[:min(len(want), 8)]
		if n, err := copyFrom(&w, limited, most); n != int64(len(want)) || err != nil || limited.N != 8-n {
			t.Errorf("%d at most, of 8: %d bytes, %v, %d left", most, n, err, limited.N)
		}
	}
}
