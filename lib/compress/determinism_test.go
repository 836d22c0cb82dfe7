package compress

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"chunkah/lib/compress/deflate"
)

// TestSameBytes checks that the output does not depend on the number of workers, the sizes of
// writes, or other work in the pool.
func TestSameBytes(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		size int
	}{
		{Settings{None, 0}, 3 << 20},
		{Settings{Gzip, 1}, 3 << 20},
		{Settings{Gzip, 6}, 3 << 20},
		{Settings{Gzip, 9}, 3 << 19},
		{Settings{Zstd, 1}, severalBlocks},
		{Settings{Zstd, 3}, severalBlocks},
	} {
		t.Run(fmt.Sprintf("%s-%d", c.s.Algorithm, c.s.Level), func(t *testing.T) {
			t.Parallel()
			skipUnderRace(t, c.s)
			if testing.Short() && !isDefault(c.s) {
				t.Skip("short: only the defaults")
			}
			data := sample(c.size)
			want := pack(t, newPool(t, 1), c.s, data, 1<<20)
			for _, workers := range []int{1, 2, 8} {
				if raceEnabled && workers < 8 {
					continue // slow, and finds no further errors
				}
				p := newPool(t, workers)
				for _, chunk := range []int{4093, c.size} {
					if !bytes.Equal(pack(t, p, c.s, data, chunk), want) {
						t.Errorf("%d workers, writes of %d bytes: different output", workers, chunk)
					}
				}
			}
		})
	}
}

// TestSharedPool compresses many streams with different settings in parallel on a few workers.
func TestSharedPool(t *testing.T) {
	p, alone := newPool(t, 3), newPool(t, 1)
	t.Run("streams", func(t *testing.T) {
		for i := range 12 {
			s := []Settings{{Gzip, 6}, {Zstd, 3}, {Gzip, 2}, {None, 0}}[i%4]
			data := sample(sampleSize)[i<<18 : i<<18+i*i*40_000]
			want := sha256.Sum256(pack(t, alone, s, data, 1<<20))
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				if got := sha256.Sum256(pack(t, p, s, data, 30_000)); got != want {
					t.Error("the output differs from a single run")
				}
			})
		}
	})
}

// TestReusedCodec compares a used codec with a new one. The library keeps its tables between
// blocks. It recognises old entries by a position that grows up to 2^31 and then restarts within a
// block. Tiny blocks advance the position by a known step, so some of the numbers below end just
// before that point.
func TestReusedCodec(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("slow, and finds no races")
	}
	for _, s := range allSettings()[1:] {
		t.Run(fmt.Sprintf("%s-%d", s.Algorithm, s.Level), func(t *testing.T) {
			t.Parallel()
			pl := s.plan()
			tiny := []int{0} // number of tiny blocks before the compared one
			switch {
			case s.Algorithm == Zstd:
				tiny = append(tiny, 251) // of 8 MiB each
			case s.Level < deflate.First:
				tiny = append(tiny, 32748, 32752, 32756, 32760, 32764) // of 64 KiB each
			}
			data := sample(4<<20 + deflateWindow + pl.blockSize)
			buf := data[4<<20:][:pl.dictSize+pl.blockSize]
			fresh, err := pl.newCodec()
			if err != nil {
				t.Fatal(err)
			}
			want, err := fresh.appendBlock(nil, buf, pl.dictSize)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range tiny {
				old, err := pl.newCodec()
				if err != nil {
					t.Fatal(err)
				}
				got, err := old.appendBlock(nil, data[:pl.blockSize/4], 0) // fills the tables
				for range n {
					if err != nil {
						t.Fatal(err)
					}
					got, err = old.appendBlock(got[:0], data[:20], 0)
				}
				if err == nil {
					got, err = old.appendBlock(got[:0], buf, pl.dictSize)
				}
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("after %d tiny blocks the codec's output differs from a new one's", n)
				}
			}
		})
	}
}
