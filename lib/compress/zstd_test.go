package compress

import (
	"bytes"
	"fmt"
	"os/exec"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// zstdFrames counts the frames in a blob without skippable frames.
func zstdFrames(t testing.TB, blob []byte) int {
	t.Helper()
	n := 0
	for ; len(blob) > 0; n++ {
		var header zstd.Header
		if err := header.Decode(blob); err != nil || header.Skippable {
			t.Fatalf("frame %d: %v, %+v", n, err, header)
		}
		blob = blob[header.HeaderSize:]
		for last := false; !last; {
			if len(blob) < 3 {
				t.Fatalf("frame %d: no last block", n)
			}
			block := int(blob[0]) | int(blob[1])<<8 | int(blob[2])<<16
			size := block >> 3
			if block>>1&3 == 1 {
				size = 1
			}
			last, blob = block&1 == 1, blob[3+size:]
		}
		if header.HasCheckSum {
			blob = blob[4:]
		}
	}
	return n
}

func TestOneFrame(t *testing.T) {
	p := newPool(t, 2)
	for _, n := range []int{0, 1, 1024, 1025, zstdBlockSize - 1, zstdBlockSize, zstdBlockSize + 1, severalBlocks} {
		blob := pack(t, p, Settings{Algorithm: Zstd}, sample(n), 1<<20)
		if got := zstdFrames(t, blob); got != 1 {
			t.Errorf("%d bytes: %d frames, want 1", n, got)
		}
		var header zstd.Header
		if err := header.Decode(blob); err != nil {
			t.Fatal(err)
		}
		if most := uint64(max(1024, min(2*n, zstdBlockSize))); header.WindowSize > most {
			t.Errorf("%d bytes: a window of %d bytes, want at most %d", n, header.WindowSize, most)
		}
	}
}

// TestJoinedFrames joins many small blocks for whose first bytes an encoder would repeat an offset.
// The encoder assumes that a frame begins, so its last offsets are 1, 4 and 8. The decoder uses the
// last offsets of the previous block.
func TestJoinedFrames(t *testing.T) {
	var data []byte
	noise := sample(1 << 20)
	for i := range 4000 {
		period := []int{1, 2, 3, 4, 7, 8, 9, 60}[i%8]
		piece := bytes.Repeat(noise[i*100:][:period], 1+(40+i%300)/period)
		data = append(append(data, piece...), noise[i*100:][:i%31]...)
	}
	for _, level := range []int{1, 3, 6, 10} {
		for _, blockSize := range []int{40, 333, 5000, 131072 + 50} {
			t.Run(fmt.Sprintf("%d/%d", level, blockSize), func(t *testing.T) {
				var out bytes.Buffer
				z, err := newPool(t, 2).NewWriter(t.Context(), &out, Settings{Zstd, level}, 0)
				if err != nil {
					t.Fatal(err)
				}
				z.plan.blockSize = blockSize
				if _, err := z.Write(data); err != nil {
					t.Fatal(err)
				}
				if err := z.Close(); err != nil {
					t.Fatal(err)
				}
				if got := zstdFrames(t, out.Bytes()); got != 1 {
					t.Errorf("%d frames, want 1", got)
				}
				if got := unpack(t, Zstd, out.Bytes()); !bytes.Equal(got, data) {
					t.Error("other bytes came back")
				}
				if _, err := exec.LookPath("zstd"); err != nil {
					t.Skip(err)
				}
				cmd := exec.CommandContext(t.Context(), "zstd", "-dcq")
				cmd.Stdin = &out
				if got, err := cmd.Output(); err != nil || !bytes.Equal(got, data) {
					t.Errorf("zstd -d: other bytes came back: %v", err)
				}
			})
		}
	}
}
