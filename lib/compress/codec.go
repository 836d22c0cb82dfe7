package compress

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// A codec compresses one block at a time. It is used by one goroutine, and keeps its tables from
// block to block; what it returns does not depend on the blocks before (TestReusedCodec).
type codec interface {
	// appendBlock appends the compressed form of src to dst. dict is the input just before src, at
	// most as much as plan.dictSize asks for.
	appendBlock(dst, dict, src []byte) ([]byte, error)
}

// A plan is what a writer and a worker must know about valid settings: how to cut the input, what
// stands before and behind the blocks, and which codec compresses them. It is comparable: workers
// keep one codec a plan.
type plan struct {
	algorithm Algorithm
	level     int // the library's
	blockSize int // bytes of input in each block but the last
	dictSize  int // bytes of input before a block that its codec wants to see
}

// deflateWindow is how far back deflate can point, in bytes.
const deflateWindow = 32 << 10

func (s Settings) plan() plan {
	if s.Algorithm == Zstd {
		return plan{algorithm: Zstd, level: int(s.zstdLevel()), blockSize: zstdBlockSize}
	}
	return plan{algorithm: Gzip, level: s.gzipLevel(), blockSize: gzipBlockSize, dictSize: deflateWindow}
}

// bufferSize is how many bytes hold a block with its dictionary, or any output for a block.
func (p plan) bufferSize() int {
	return p.dictSize + outputSize(p.blockSize)
}

// ahead is how many blocks of a writer may wait for a worker. Where all processors are busy, who
// fills the blocks gets one for a moment now and then, and then has to fill as many as the workers
// need until the next.
func (p plan) ahead() int { return max(1, aheadBytes/p.blockSize) }

// aheadBytes is how much input of a writer may wait, unless a block is larger: at gzip's default
// level some 50 ms of work for two workers, where a processor is handed over every 10 ms at the
// latest.
const aheadBytes = 4 << 20

// outputSize is what so many bytes of input become at most. Both formats add a few bytes for each
// 64 KiB that does not shrink.
func outputSize(n int) int {
	return n + n/512 + 128
}

// MaxSize returns what so many bytes become at most, with any settings: each block grows by less
// than a 256th, the last one and the rest of the format by a few bytes more.
func MaxSize(n int64) int64 { return n + n/256 + 1024 }

func (p plan) newCodec() (codec, error) {
	if p.algorithm == Zstd {
		return newZstdCodec(zstd.EncoderLevel(p.level))
	}
	return newDeflateCodec(p.level)
}

// gzipHeader is that of RFC 1952 with no flags, no time, no hint of the level and an unknown
// operating system (255).
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" // changes every digest

// deflateEnd is an empty last block with fixed codes. It closes a stream of blocks which each end
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

// An appender is an io.Writer to the end of a slice.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

type zstdCodec struct {
	enc *zstd.Encoder
}

func newZstdCodec(level zstd.EncoderLevel) (*zstdCodec, error) {
	enc, err := zstd.NewWriter(nil, // each option but the two noted changes every digest
		zstd.WithEncoderLevel(level),
		zstd.WithWindowSize(zstdBlockSize),
		zstd.WithEncoderCRC(true),
		zstd.WithZeroFrames(true),
		// Huffman codes also for data without any match: 0.1 % smaller, at no time that could be
		// measured.
		zstd.WithAllLitEntropyCompression(true),
		// No goroutines inside (not in the bytes). The pool is what is parallel.
		zstd.WithEncoderConcurrency(1),
		// History of one window instead of two (not in the bytes): a block fits, so it never has to
		// move.
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
