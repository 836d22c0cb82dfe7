package compress

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// alternating returns data whose alphabet changes every 1025 bytes and in which no three-byte
// sequence is repeated within a short distance. So deflate starts a block for each part, and stores
// the block.
func alternating(n int) []byte {
	const part, alphabet = 1025, 185
	rnd := rand.New(rand.NewPCG(3, alphabet))
	perm := rnd.Perm(256)
	var sets [2][]byte
	for i := range alphabet {
		sets[0] = append(sets[0], byte(perm[i]))
		sets[1] = append(sets[1], byte(perm[255-i]))
	}
	last := make(map[[3]byte]int)
	var out []byte
	for k := 0; len(out) < n; k++ {
		var bag []byte
		for i := range part {
			bag = append(bag, sets[k&1][i%alphabet])
		}
		for len(bag) > 0 {
			j := rnd.IntN(len(bag))
			if at := len(out); at >= 2 {
				seen := func() bool {
					p, ok := last[[3]byte{out[at-2], out[at-1], bag[j]}]
					return ok && at-p <= 40_000
				}
				for range 50 {
					if !seen() {
						break
					}
					j = rnd.IntN(len(bag))
				}
				last[[3]byte{out[at-2], out[at-1], bag[j]}] = at
			}
			out = append(out, bag[j])
			bag[j] = bag[len(bag)-1]
			bag = bag[:len(bag)-1]
		}
	}
	return out[:n]
}

// No input grows beyond MaxSize, which is the space that is reserved for a layer in an archive.
func TestMaxSize(t *testing.T) {
	pool := newPool(t, 2)
	noise := make([]byte, 1<<20)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	grown := false
	for name, data := range map[string][]byte{"empty": nil, "one": {1}, "noise": noise, "alternating": alternating(1 << 20)} {
		for _, s := range []Settings{{Gzip, 1}, {Gzip, 6}, {Gzip, 9}, {Zstd, 3}} {
			blob := pack(t, pool, s, data, 1<<20)
			if most := MaxSize(int64(len(data))); int64(len(blob)) > most {
				t.Errorf("%s, %v: %d bytes, more than %d", name, s, len(blob), most)
			}
			if !bytes.Equal(unpack(t, s.Algorithm, blob), data) {
				t.Errorf("%s, %v: the data differs after decompression", name, s)
			}
			grown = grown || len(blob) > len(data)+len(data)/256+1024
		}
	}
	if !grown {
		t.Error("no input grows by more than 1/256: the test has lost its case")
	}
}
