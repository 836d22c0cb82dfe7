package compress

import (
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Sizes of a FrameWriter's blocks, in bytes of input. A block of several frames is submitted at the
// end of the frame that makes it frameBlockSize large, and in the middle of a frame if it gets
// twice as large.
const (
	frameBlockSize = 512 << 10          // changes every digest
	maxFrameBlock  = 2 * frameBlockSize // changes every digest
)

// A FrameWriter compresses everything written to it to zstd frames that end where the caller says,
// so that each of them can be read alone. A frame of more than 512 KiB can become several. Like a
// [Writer], it is for one goroutine, and can be dropped without Close.
type FrameWriter struct{ z *Writer }

// framing is what a Writer knows about its frames.
type framing struct {
	cuts   []int   // where the frames of the buffer end
	frames int     // ended so far
	total  int64   // bytes written
	ends   []int64 // where the frames written so far end
}

// NewFrameWriter is like [Pool.NewWriter]. The algorithm must be zstd.
func (p *Pool) NewFrameWriter(ctx context.Context, w io.Writer, s Settings, rank int) (*FrameWriter, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.Algorithm != Zstd {
		return nil, fmt.Errorf("compressing frames with %q: only zstd has frames that can be read alone", s.Algorithm)
	}
	pl := plan{algorithm: Zstd, level: int(s.zstdLevel()), blockSize: maxFrameBlock, frames: true}
	return &FrameWriter{&Writer{ctx: ctx, w: w, pool: p, rank: rank, plan: pl}}, nil
}

// FramesKey is like [Settings.Key], for the frames of a FrameWriter.
func (s Settings) FramesKey() string {
	return fmt.Sprintf("zstd-%s-frames-block%d-klauspost-%s", s.zstdLevel(), frameBlockSize, libraryVersion)
}

// Write implements io.Writer.
func (f *FrameWriter) Write(p []byte) (int, error) { return f.z.Write(p) }

// EndFrame ends the frame, unless nothing was written since the last end, and returns the number of
// frames so far.
func (f *FrameWriter) EndFrame() (frames int, err error) {
	f.z.endFrame()
	if len(f.z.buf) >= frameBlockSize {
		err = f.z.submit()
	}
	return f.z.frames, err
}

// Close compresses the remaining data and waits for all frames.
func (f *FrameWriter) Close() error { return f.z.Close() }

// Ends returns the sizes of the blob up to the end of each frame. It is complete after Close.
func (f *FrameWriter) Ends() []int64 { return f.z.ends }

// endFrame ends the frame in the buffer, if there is one.
func (z *Writer) endFrame() {
	last := 0
	if n := len(z.cuts); n > 0 {
		last = z.cuts[n-1]
	}
	if len(z.buf) > last {
		z.cuts = append(z.cuts, len(z.buf))
		z.frames++
	}
}

// wrote records where the frames of a written block end.
func (z *Writer) wrote(j *job) {
	for _, end := range j.ends {
		z.ends = append(z.ends, z.total+int64(end))
	}
	z.total += int64(len(j.out))
}

// frameCodec makes a frame of each block.
type frameCodec struct{ enc *zstd.Encoder }

func newFrameCodec(level zstd.EncoderLevel) (*frameCodec, error) {
	c, err := newZstdEncoder(level, maxFrameBlock)
	if err != nil {
		return nil, err
	}
	return &frameCodec{c}, nil
}

func (c *frameCodec) appendBlock(dst, src []byte, _ int) ([]byte, error) {
	return c.enc.EncodeAll(src, dst), nil
}
