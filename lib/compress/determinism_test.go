package compress

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"chunkah/lib/compress/deflate"
)

// TestSameBytes is the law "same input, same bytes" for this package: neither workers, nor the
// sizes of writes, nor what else is compressed at the time may show in the output.
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
				t.Skip("the defaults are enough for a quick look")
			}
			data := sample(c.size)
			want := pack(t, newPool(t, 1), c.s, data, 1<<20)
			for _, workers := range []int{1, 2, 8} {
				if raceEnabled && workers < 8 {
					continue // slow, and less to race
				}
				p := newPool(t, workers)
				for _, chunk := range []int{4093, c.size} {
					if !bytes.Equal(pack(t, p, c.s, data, chunk), want) {
						t.Errorf("%d workers, writes of %d bytes: other output", workers, chunk)
					}
				}
			}
		})
	}
}

// TestSharedPool compresses many streams of different settings at once through the same few
// workers.
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
					t.Error("other output than alone")
				}
			})
		}
	})
}

// TestReusedCodec compares a codec that has done much work with a new one. The library keeps its
// tables from block to block, and tells old entries from new ones by a position that grows towards
// 2^31 and then starts again, in the middle of a block. Tiny blocks move it by a known step, so
// that some of the numbers below end close before that point.
func TestReusedCodec(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("slow, and has nothing to race")
	}
	for _, s := range allSettings()[1:] {
		t.Run(fmt.Sprintf("%s-%d", s.Algorithm, s.Level), func(t *testing.T) {
			t.Parallel()
			pl := s.plan()
			tiny := []int{0} // how many tiny blocks before the one that counts
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
					t.Errorf("after %d tiny blocks the codec writes other bytes than a new one", n)
				}
			}
		})
	}
}
