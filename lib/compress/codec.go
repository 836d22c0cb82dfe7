package compress

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// A codec compresses one block at a time, for one goroutine. It reuses its tables, but its output
// does not depend on earlier blocks (TestReusedCodec).
type codec interface {
	// appendBlock appends the compressed form of src to dst. dict is the input just before src, at
	// most plan.dictSize bytes.
	appendBlock(dst, dict, src []byte) ([]byte, error)
}

// A plan has everything that a writer and a worker need to know about valid settings: how to divide
// the input, the bytes before and after the blocks, and the codec. It is comparable: workers keep
// one codec per plan.
type plan struct {
	algorithm Algorithm
	level     int // of the library
	blockSize int // bytes of input in each block except the last
	dictSize  int // bytes of input before a block that the codec uses as a dictionary
}

// deflateWindow is the maximum distance of a match in deflate, in bytes.
const deflateWindow = 32 << 10

func (s Settings) plan() plan {
	if s.Algorithm == Zstd {
		return plan{algorithm: Zstd, level: int(s.zstdLevel()), blockSize: zstdBlockSize}
	}
	return plan{algorithm: Gzip, level: s.gzipLevel(), blockSize: gzipBlockSize, dictSize: deflateWindow}
}

// bufferSize returns the size that is enough for a block with its dictionary, or for the output of
// any block.
func (p plan) bufferSize() int {
	return p.dictSize + outputSize(p.blockSize)
}

// queueLength is the number of blocks of a writer that can be queued. If all processors are busy,
// the goroutine that fills blocks runs only now and then, and must fill enough blocks for the
// workers until its next turn.
func (p plan) queueLength() int { return max(1, queuedBytes/p.blockSize) }

// queuedBytes is the amount of input of a writer that can be queued, unless a block is larger:
// about 50 ms of work for two workers at gzip's default level. The scheduler switches goroutines
// every 10 ms at the latest.
const queuedBytes = 4 << 20

// outputSize returns the maximum size of n bytes after compression. Both formats add a few bytes
// per 64 KiB of incompressible data.
func outputSize(n int) int {
	return n + n/512 + 128
}

// MaxSize returns the maximum size of n bytes after compression, with any settings: each block
// grows by less than 1/256, and the last block and the format add a few bytes.
func MaxSize(n int64) int64 { return n + n/256 + 1024 }

func (p plan) newCodec() (codec, error) {
	if p.algorithm == Zstd {
		return newZstdCodec(zstd.EncoderLevel(p.level))
	}
	return newDeflateCodec(p.level)
}

// gzipHeader is a header of RFC 1952 with no flags, no time, no level hint and an unknown operating
// system (255).
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" // changes every digest

// deflateEnd is an empty final block with fixed codes. It ends a stream of blocks that each end
// with a sync flush.
const deflateEnd = "\x03\x00" // changes every digest

type deflateCodec struct {
	w    *flate.Writer
	sink appender
}

func newDeflateCodec(level int) (*deflateCodec, error) {
	w, err := flate.NewWriter(io.Discard, level)
	if err != nil {
		return nil, fmt.Errorf("making a deflate encoder: %w", err)
	}
	return &deflateCodec{w: w}, nil
}

func (c *deflateCodec) appendBlock(dst, dict, src []byte) ([]byte, error) {
	c.sink = appender(dst)
	c.w.ResetDict(&c.sink, dict)
	if _, err := c.w.Write(src); err != nil {
		return nil, err
	}
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	dst, c.sink = c.sink, nil
	return dst, nil
}

// An appender is an io.Writer that appends to a slice.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

type zstdCodec struct {
	enc *zstd.Encoder
}

func newZstdCodec(level zstd.EncoderLevel) (*zstdCodec, error) {
	enc, err := zstd.NewWriter(nil, // every option changes all digests, except the two marked ones
		zstd.WithEncoderLevel(level),
		zstd.WithWindowSize(zstdBlockSize),
		zstd.WithEncoderCRC(true),
		zstd.WithZeroFrames(true),
		// Huffman codes even without matches: 0.1 % smaller, at no measurable cost.
		zstd.WithAllLitEntropyCompression(true),
		// No goroutines inside; the pool runs in parallel. (Does not affect the bytes.)
		zstd.WithEncoderConcurrency(1),
		// One window of history instead of two, since a block fits into it and never has to move.
		// (Does not affect the bytes.)
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		return nil, fmt.Errorf("making a zstd encoder: %w", err)
	}
	return &zstdCodec{enc: enc}, nil
}

func (c *zstdCodec) appendBlock(dst, _, src []byte) ([]byte, error) {
	return c.enc.EncodeAll(src, dst), nil
}
