package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/bound"
)

// end is an empty last block with fixed codes.
const end = "\x03\x00"

// inflate decompresses the output of Append.
func inflate(t testing.TB, piece, before []byte) []byte {
	t.Helper()
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(piece), strings.NewReader(end)), before)
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// kinds returns inputs that compress in different ways: as stored, fixed and dynamic blocks, with
// matches of all lengths and distances, and with codes of the maximum length.
func kinds() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	var skewed, copies []byte
	for i := range 30 { // more Fibonacci-like counts than a code of 15 bits has room for
		skewed = append(skewed, bytes.Repeat([]byte{byte(i)}, min(1<<i, 100_000))...)
	}
	rnd.Shuffle(len(skewed), func(i, j int) { skewed[i], skewed[j] = skewed[j], skewed[i] })
	for len(copies) < 400_000 {
		copies = append(copies, noise[rnd.IntN(1000):][:1+rnd.IntN(20)]...)
		at := rnd.IntN(len(copies))
		at = max(at, len(copies)-window-10)
		copies = append(copies, copies[at:min(len(copies), at+rnd.IntN(400))]...)
	}
	return map[string][]byte{
		"empty": {}, "one": {7}, "two": {7, 7}, "few": []byte("hello"), "noise": noise, "skewed": skewed,
		"copies": copies, "zeros": make([]byte, 300_000), "text": []byte(strings.Repeat("some text, ", 9000)),
		"mixed": slices.Concat(noise[:70_000], copies[:90_000], skewed[:90_000], noise[:70_000]),
	}
}

func TestRoundTrip(t *testing.T) {
	for n := First; n <= Last; n++ {
		e := NewEncoder(n)
		for name, data := range kinds() {
			for _, from := range []int{0, 1, 5, 1000, window, window + 7} {
				if from > len(data) {
					continue
				}
				piece := e.Append([]byte("head"), data, from)
				if got := inflate(t, piece[4:], data[:from]); !bytes.Equal(got, data[from:]) {
					t.Fatalf("level %d, %s from %d: other bytes came back", n, name, from)
				}
				if !bytes.Equal(piece, NewEncoder(n).Append([]byte("head"), data, from)) {
					t.Errorf("level %d, %s from %d: a new encoder writes other bytes", n, name, from)
				}
				if most := len(data) - from + (len(data)-from)/1000 + 20; len(piece)-4 > most {
					t.Errorf("level %d, %s from %d: %d bytes, want at most %d", n, name, from, len(piece)-4, most)
				}
			}
		}
	}
}

// TestLargest compresses a piece of the maximum size.
func TestLargest(t *testing.T) {
	data := bytes.Repeat(kinds()["mixed"], 7)[:maxPiece]
	piece := NewEncoder(First).Append(nil, data, window)
	if got := inflate(t, piece, data[:window]); !bytes.Equal(got, data[window:]) {
		t.Error("other bytes came back")
	}
}

// TestLevels checks that a higher level produces smaller output for data with many matches.
func TestLevels(t *testing.T) {
	data, last := kinds()["copies"], 1<<30
	for n := First; n <= Last; n++ {
		size := len(NewEncoder(n).Append(nil, data, 0))
		if size > last {
			t.Errorf("level %d: %d bytes, the level before %d", n, size, last)
		}
		last = size
	}
}

// TestBlocks checks that a new block begins where the data changes, so that both parts get short
// codes.
func TestBlocks(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	parts := [2][]byte{make([]byte, 100_000), make([]byte, 100_000)}
	for i, part := range parts {
		for k := range part {
			part[k] = byte(100*i + rnd.IntN(20))
		}
	}
	e := NewEncoder(First)
	size := func(data []byte) int { return len(e.Append(nil, data, 0)) }
	want := size(parts[0]) + size(parts[1])
	if got := size(slices.Concat(parts[:]...)); got > want+want/100 {
		t.Errorf("both parts take %d bytes, each alone %d", got, want)
	}
}

// TestHuffman builds codes for counts whose trees are deeper than the limit.
func TestHuffman(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h huffman
	for range 2000 {
		limit := []int{maxLengthCode, maxCode}[rnd.IntN(2)]
		counts := make([]uint32, 2+rnd.IntN([]int{17, symbols - 2}[limit/maxCode]))
		for i := range counts {
			counts[i] = rnd.Uint32() >> (8 + rnd.IntN(25))
		}
		codes := make([]code, len(counts))
		h.build(codes, counts, limit)
		sum := 0
		for s, c := range codes {
			if c.n > uint8(limit) || c.n == 0 && counts[s] > 0 {
				t.Fatalf("symbol %d of count %d has %d bits, the limit is %d", s, counts[s], c.n, limit)
			}
			if c.n > 0 {
				sum += 1 << (limit - int(c.n))
			}
		}
		if sum != 1<<limit {
			t.Fatalf("the code has %d of %d leaves", sum, 1<<limit)
		}
	}
}

// FuzzAppend checks that another decoder returns the original bytes, whatever input comes before
// them.
func FuzzAppend(f *testing.F) {
	for _, data := range kinds() {
		f.Add(data[:min(len(data), 5000)], uint16(min(len(data), 100)), uint16(100))
	}
	encoder := NewEncoder(First)
	f.Fuzz(func(t *testing.T, data []byte, from, times uint16) {
		data = bytes.Repeat(data, 1+int(times)%50)
		data = data[:min(len(data), maxPiece)]
		bound.Memory(t, 1<<21+32*len(data))
		n := min(int(from), len(data))
		if got := inflate(t, encoder.Append(nil, data, n), data[:n]); !bytes.Equal(got, data[n:]) {
			t.Error("other bytes came back")
		}
	})
}
