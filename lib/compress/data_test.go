package compress

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"
	"testing"
)

// sample returns n fixed bytes that resemble a layer. They contain runs of words, of machine words
// with small steps, of zeros and of noise, and sometimes a copy of data up to 12 MiB earlier.
func sample(n int) []byte {
	whole := wholeSample()
	if n > len(whole) {
		panic("sample too small")
	}
	return whole[:n:n]
}

const sampleSize = 20 << 20

var wholeSample = sync.OnceValue(func() []byte {
	rnd := uint64(1)
	next := func() uint64 { // xorshift64*
		rnd ^= rnd >> 12
		rnd ^= rnd << 25
		rnd ^= rnd >> 27
		return rnd * 0x2545f4914f6cdd1d
	}
	var words [1000][]byte
	for i := range words {
		w := binary.BigEndian.AppendUint64(nil, next())[:2+next()%7]
		for k := range w {
			w[k] = 'a' + w[k]%26
		}
		words[i] = append(w, ' ')
	}
	b := make([]byte, 0, sampleSize+64<<10)
	for len(b) < sampleSize {
		length := int(next()%(48<<10)) + 1
		end := len(b) + length
		switch kind := next() % 16; {
		case kind < 7:
			for len(b) < end {
				b = append(b, words[next()%(next()%1000+1)]...)
			}
		case kind < 12:
			for v := next(); len(b) < end; v += next() % 512 {
				b = binary.LittleEndian.AppendUint64(b, v)
			}
		case kind < 13:
			b = append(b, make([]byte, length)...)
		case kind < 14:
			for len(b) < end {
				b = binary.LittleEndian.AppendUint64(b, next())
			}
		default:
			if back := int(next()%(12<<20)) + length; back <= len(b) {
				b = append(b, b[len(b)-back:len(b)-back+length]...)
			}
		}
	}
	return b[:sampleSize]
})

// pack compresses data with a pool, in writes of chunk bytes.
func pack(t testing.TB, p *Pool, s Settings, data []byte, chunk int) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := p.NewWriter(t.Context(), &out, s, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{z}, struct{ io.Reader }{bytes.NewReader(data)}, make([]byte, chunk)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func newPool(t testing.TB, workers int) *Pool {
	p := NewPool(workers)
	t.Cleanup(p.Close)
	return p
}

// isDefault reports whether these are default settings.
func isDefault(s Settings) bool {
	return s.Level == 0 || s == (Settings{Gzip, defaultGzipLevel}) || s == (Settings{Zstd, defaultZstdLevel})
}

// skipUnderRace skips all but the default levels under the race detector, where other levels take
// minutes and find no further errors.
func skipUnderRace(t *testing.T, s Settings) {
	t.Helper()
	if raceEnabled && !isDefault(s) {
		t.Skip("slow under the race detector")
	}
}

// severalBlocks is a size in bytes that is larger than two blocks, with any settings.
const severalBlocks = 2*zstdBlockSize + 1<<20
