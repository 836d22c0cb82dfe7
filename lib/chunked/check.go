package chunked

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// Check reads the tar in a blob, writes it to w, and compares it with the tables: every entry, the
// position and digest of every chunk and file, and every byte of tar-split. It returns the first
// difference as an error.
func (t *Tables) Check(blob io.Reader, w io.Writer) error {
	split, err := newSplitReader(t)
	if err != nil {
		return err
	}
	defer split.close()
	c := checker{w: w, split: split, part: sha256.New(), file: sha256.New()}
	if c.chunks, err = t.Chunks(); err != nil {
		return err
	}
	if err := c.frames(newFrameReader(io.LimitReader(blob, t.Start()))); err != nil {
		return err
	}
	if len(c.chunks) > 0 {
		return fmt.Errorf("entry %q: no frame at offset %d, where its contents should begin", c.chunks[0].Name, c.chunks[0].Start)
	}
	return split.end()
}

// checker compares the frames of a blob with chunks.
type checker struct {
	w       io.Writer
	split   *splitReader
	chunks  []Chunk // the chunks that are not complete yet
	inChunk bool    // the first chunk has begun
	size    int64   // bytes of its contents so far
	part    hash.Hash
	file    hash.Hash
}

func (c *checker) frames(f *frameReader) error {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer z.Close()
	buf := make([]byte, 128<<10)
	for {
		err := f.begin()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.begin(f.at)
		}
		if err != nil {
			return err
		}
		start := f.at
		if err = z.Reset(f); err == nil {
			_, err = io.CopyBuffer(c, struct{ io.Reader }{z}, buf)
		}
		if err == nil && !f.ended() {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("reading the frame at %d: %w", start, err)
		}
		if err := c.end(f.at); err != nil {
			return err
		}
	}
}

// begin is called before a frame. at is the offset at which the frame starts.
func (c *checker) begin(at int64) error {
	if c.inChunk || len(c.chunks) == 0 || c.chunks[0].Start > at {
		return nil
	}
	chunk := &c.chunks[0]
	if chunk.Start < at {
		return fmt.Errorf("entry %q: no frame at offset %d, where its contents should begin", chunk.Name, chunk.Start)
	}
	if err := c.split.contents(chunk.Name, chunk.Offset); err != nil {
		return fmt.Errorf("entry %q: the frame at %d: %w", chunk.Name, at, err)
	}
	c.inChunk, c.size = true, 0
	c.part.Reset()
	if chunk.Offset == 0 {
		c.file.Reset()
	}
	return nil
}

// Write receives the bytes of the tar.
func (c *checker) Write(p []byte) (int, error) {
	if c.inChunk {
		chunk := &c.chunks[0]
		if c.size += int64(len(p)); c.size > chunk.Size {
			return 0, fmt.Errorf("entry %q: the chunk is larger than %d bytes", chunk.Name, chunk.Size)
		}
		if chunk.Hole && !isZero(p) {
			return 0, fmt.Errorf("entry %q: a chunk marked as zeros contains other bytes", chunk.Name)
		}
		c.part.Write(p)
		c.file.Write(p)
	}
	if err := c.split.compare(p); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// end is called after a frame. at is the offset at which the frame ends.
func (c *checker) end(at int64) error {
	if !c.inChunk || c.size < c.chunks[0].Size {
		return nil
	}
	chunk := c.chunks[0]
	c.inChunk, c.chunks = false, c.chunks[1:]
	switch {
	case chunk.End < at:
		return fmt.Errorf("entry %q: the frames end at offset %d, but the table of contents specifies offset %d", chunk.Name, at, chunk.End)
	case digest.NewDigest(digest.SHA256, c.part) != chunk.Digest:
		return fmt.Errorf("entry %q: the chunk at %d does not match its digest", chunk.Name, chunk.Start)
	case chunk.Last && digest.NewDigest(digest.SHA256, c.file) != chunk.File:
		return fmt.Errorf("entry %q: the contents do not match its digest", chunk.Name)
	}
	return nil
}
