package compress

import (
	"fmt"
	"math/bits"

	"github.com/klauspost/compress/zstd"
)

// zstdEnd is an empty last block: every block before it says that more follow.
const zstdEnd = "\x01\x00\x00" // changes every digest

// zstdHeader starts a frame whose first block has n bytes of input. A blob with a smaller first
// block has no other, so that readers of a small layer need little memory. There is no size of the
// content, which a writer does not know, and no checksum: a blob has a digest.
func zstdHeader(n int) []byte {
	const smallest = 10                                                  // as a power of two; the format has none below
	window := max(smallest, bits.Len(uint(max(n, 1)-1)))                 // of 2^window bytes
	return []byte{0x28, 0xb5, 0x2f, 0xfd, 0, byte(window-smallest) << 3} // changes every digest
}

type zstdCodec struct {
	enc *zstd.Encoder
}

func newZstdCodec(level zstd.EncoderLevel) (*zstdCodec, error) {
	enc, err := newZstdEncoder(level, zstdBlockSize)
	if err != nil {
		return nil, err
	}
	return &zstdCodec{enc: enc}, nil
}

// newZstdEncoder returns an encoder of frames with that window, in bytes.
func newZstdEncoder(level zstd.EncoderLevel, window int) (*zstd.Encoder, error) {
	enc, err := zstd.NewWriter(nil, // each option, except the two noted ones, changes every digest
		zstd.WithEncoderLevel(level),
		zstd.WithWindowSize(window),
		zstd.WithEncoderCRC(false),
		// Huffman codes also for data without any match: 0.1 % smaller, at no time that could be
		// measured.
		zstd.WithAllLitEntropyCompression(true),
		// No goroutines inside the encoder, since the pool works in parallel. This does not change
		// the bytes.
		zstd.WithEncoderConcurrency(1),
		// History of one window instead of two: a block fits into it, so it never has to move. This
		// does not change the bytes.
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		return nil, fmt.Errorf("making a zstd encoder: %w", err)
	}
	return enc, nil
}

// appendBlock lets the library make a frame, and appends the frame's blocks alone, none of them
// marked as the last, so that they can follow those of another frame. They refer to nothing before
// them: the first block of a frame has no tables to repeat, and this library repeats an offset only
// after three sequences of the same block (TestJoinedFrames).
func (c *zstdCodec) appendBlock(dst, src []byte, _ int) ([]byte, error) {
	start := len(dst)
	dst = c.enc.EncodeAll(src, dst)
	frame := dst[start:]
	var header zstd.Header
	if err := header.Decode(frame); err != nil {
		return nil, fmt.Errorf("reading the header of a zstd frame: %w", err)
	}
	n := copy(frame, frame[header.HeaderSize:])
	clearLast(frame[:n])
	return dst[:start+n], nil
}

// clearLast removes the mark of the last of a frame's blocks.
func clearLast(blocks []byte) {
	const rle = 1 // the type of a block that is one byte, repeated
	for len(blocks) > 0 {
		header := uint32(blocks[0]) | uint32(blocks[1])<<8 | uint32(blocks[2])<<16
		blocks[0] &^= 1
		size := header >> 3
		if header>>1&3 == rle {
			size = 1
		}
		blocks = blocks[3+size:]
	}
}
