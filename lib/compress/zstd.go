package compress

import (
	"fmt"
	"math/bits"

	"github.com/klauspost/compress/zstd"
)

// zstdEnd is an empty last block. Every block before it is marked as not the last.
const zstdEnd = "\x01\x00\x00" // changes every digest

// zstdHeader returns the start of a frame whose first block consists of n bytes of input. If the
// first block is smaller than a full block, it is the only block, so readers of a small layer need
// little memory. The header contains no content size, because the size is not known in advance, and
// no checksum, because a blob has a digest.
func zstdHeader(n int) []byte {
	const smallest = 10                                                  // exponent of two; the format allows no smaller window
	window := max(smallest, bits.Len(uint(max(n, 1)-1)))                 // the window is 2^window bytes
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

// newZstdEncoder returns an encoder for frames with that window, in bytes.
func newZstdEncoder(level zstd.EncoderLevel, window int) (*zstd.Encoder, error) {
	enc, err := zstd.NewWriter(nil, // each option, except the two noted ones, changes every digest
		zstd.WithEncoderLevel(level),
		zstd.WithWindowSize(window),
		zstd.WithEncoderCRC(false),
		// Use Huffman codes even for data without any match. This makes the output 0.1 % smaller
		// and takes no measurable time.
		zstd.WithAllLitEntropyCompression(true),
		// Use no goroutines inside the encoder, because the pool works in parallel. This does not
		// change the bytes.
		zstd.WithEncoderConcurrency(1),
		// Keep a history of one window instead of two. A block fits into it, so the history never
		// has to move. This does not change the bytes.
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		return nil, fmt.Errorf("making a zstd encoder: %w", err)
	}
	return enc, nil
}

// appendBlock compresses src to a frame with the library, and appends only the frame's blocks. No
// block is marked as the last, so that blocks from another frame can follow. The blocks do not
// depend on earlier frames, because the first block in a frame has no tables to repeat, and this
// library repeats an offset only after three sequences in the same block (TestJoinedFrames).
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

// clearLast clears the last-block mark in a frame's blocks.
func clearLast(blocks []byte) {
	const rle = 1 // type of a block that repeats one byte
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
