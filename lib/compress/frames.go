package compress

import (
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Sizes of a FrameWriter's blocks, in bytes of input. A block can contain several frames. It is
// submitted at the end of a frame if its size has reached frameBlockSize, or in the middle of a
// frame if its size reaches maxFrameBlock.
const (
	frameBlockSize = 512 << 10          // changes every digest
	maxFrameBlock  = 2 * frameBlockSize // changes every digest
)

// A FrameWriter compresses everything that is written to it into zstd frames. The caller determines
// where frames end, so that each part can be read separately. A frame of more than 512 KiB can
// become several frames. Only one goroutine can use it. Like a [Writer], it can be dropped without
// Close.
type FrameWriter struct{ z *Writer }

// framing contains a Writer's data about its frames.
type framing struct {
	cuts   []int   // offsets in the buffer at which frames end
	frames int     // number of frames ended so far
	total  int64   // bytes written
	ends   []int64 // offsets at which the frames written so far end
}

// NewFrameWriter works like [Pool.NewWriter]. The algorithm must be zstd.
func (p *Pool) NewFrameWriter(ctx context.Context, w io.Writer, s Settings, rank int) (*FrameWriter, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.Algorithm != Zstd {
		return nil, fmt.Errorf("compressing frames with %q: only zstd frames can be decompressed independently", s.Algorithm)
	}
	pl := plan{algorithm: Zstd, level: int(s.zstdLevel()), blockSize: maxFrameBlock, frames: true}
	return &FrameWriter{&Writer{ctx: ctx, w: w, pool: p, rank: rank, plan: pl}}, nil
}

// FramesKey is the equivalent of [Settings.Key] for the frames from a FrameWriter.
func (s Settings) FramesKey() string {
	return fmt.Sprintf("zstd-%s-frames-block%d-klauspost-%s", s.zstdLevel(), frameBlockSize, libraryVersion)
}

// Write implements io.Writer.
func (f *FrameWriter) Write(p []byte) (int, error) { return f.z.Write(p) }

// EndFrame ends the frame and returns the number of frames so far. It does not end an empty frame.
func (f *FrameWriter) EndFrame() (frames int, err error) {
	f.z.endFrame()
	if len(f.z.buf) >= frameBlockSize {
		err = f.z.submit()
	}
	return f.z.frames, err
}

// Close compresses the remaining data and waits for all frames.
func (f *FrameWriter) Close() error { return f.z.Close() }

// Ends returns, for each frame, the offset in the blob at which the frame ends. The list is
// complete after Close.
func (f *FrameWriter) Ends() []int64 { return f.z.ends }

// endFrame ends the frame in the buffer, if it contains a frame.
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

// wrote records where the frames in a written block end.
func (z *Writer) wrote(j *job) {
	for _, end := range j.ends {
		z.ends = append(z.ends, z.total+int64(end))
	}
	z.total += int64(len(j.out))
}

// frameCodec makes one frame from each block.
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
