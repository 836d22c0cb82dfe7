package compress

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"

	"chunkah/lib/compress/deflate"
)

// gzipHeader is the header from RFC 1952 with no flags, no time, no hint about the level and an
// unknown operating system (255).
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" // changes every digest

// deflateEnd is an empty last block with fixed codes. It ends a stream of blocks that each end with
// a sync flush.
const deflateEnd = "\x03\x00" // changes every digest

// ownCodec implements the levels from deflate.First on.
type ownCodec struct {
	e *deflate.Encoder
}

func (c ownCodec) appendBlock(dst, buf []byte, from int) ([]byte, error) {
	return c.e.Append(dst, buf, from), nil
}

// deflateCodec implements the levels below deflate.First.
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

func (c *deflateCodec) appendBlock(dst, buf []byte, from int) ([]byte, error) {
	c.sink = appender(dst)
	c.w.ResetDict(&c.sink, buf[:from])
	if _, err := c.w.Write(buf[from:]); err != nil {
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
