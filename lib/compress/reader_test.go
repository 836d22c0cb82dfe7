package compress

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"strings"
	"testing"

	"chunkah/tests/bound"
)

// blobOf compresses a string.
func blobOf(t testing.TB, a Algorithm, text string) []byte {
	t.Helper()
	pool := NewPool(1)
	defer pool.Close()
	return pack(t, pool, Settings{Algorithm: a}, []byte(text), max(len(text), 1))
}

// A reader returns the original data, even if its input consists of several blobs in a row.
// Truncated data, trailing data and other formats cause errors.
func TestReader(t *testing.T) {
	text := strings.Repeat("some text\n", 1000)
	for _, a := range []Algorithm{Gzip, Zstd} {
		blob := blobOf(t, a, text)
		for name, test := range map[string]struct {
			blob []byte
			want string
			ok   bool
		}{
			"whole": {blob, text, true}, "twice": {append(bytes.Clone(blob), blob...), text + text, true}, "empty text": {blobOf(t, a, ""), "", true},
			"cut": {blob[:len(blob)-1], "", false}, "more": {append(bytes.Clone(blob), "more"...), "", false}, "plain": {[]byte(text), "", false},
		} {
			var got []byte
			in, err := a.NewReader(bytes.NewReader(test.blob))
			if err == nil {
				got, err = io.ReadAll(in)
				in.Close()
			}
			if (err == nil) != test.ok || test.ok && string(got) != test.want {
				t.Errorf("%s, %s: got %d bytes, %v", a, name, len(got), err)
			}
		}
	}
	if _, err := None.NewReader(strings.NewReader(text)); err == nil {
		t.Error("uncompressed data was accepted")
	}
}

// FuzzReader checks that reading always comes to an end. If the standard library's gzip reader also
// succeeds, both return the same data.
func FuzzReader(f *testing.F) {
	for _, a := range []Algorithm{Gzip, Zstd} {
		for _, text := range []string{"", "text", strings.Repeat("x", 1<<16)} {
			f.Add(a == Zstd, blobOf(f, a, text))
		}
	}
	f.Fuzz(func(t *testing.T, isZstd bool, blob []byte) {
		const most = 1 << 20 // callers limit the size themselves
		bound.Memory(t, 2*maxWindow+4096*len(blob))
		read := func(in io.ReadCloser, err error) ([]byte, error) {
			if err != nil {
				return nil, err
			}
			defer in.Close()
			return io.ReadAll(io.LimitReader(in, most))
		}
		if isZstd {
			_, _ = read(Zstd.NewReader(bytes.NewReader(blob)))
			return
		}
		got, err := read(Gzip.NewReader(bytes.NewReader(blob)))
		z, stdErr := stdgzip.NewReader(bytes.NewReader(blob))
		want, stdErr := read(io.NopCloser(z), stdErr)
		if err == nil && stdErr == nil && !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, the standard library read %d bytes", len(got), len(want))
		}
	})
}
