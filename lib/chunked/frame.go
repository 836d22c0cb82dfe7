package chunked

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// frameReader reads the frames of zstd data one by one. As an io.Reader, it returns the bytes of
// one frame.
type frameReader struct {
	in       *bufio.Reader
	at       int64 // offset of the next byte
	left     int64 // bytes until the next block header, or until the end
	last     bool  // the bytes left belong to the last block, or follow it
	checksum bool  // a checksum follows the last block
}

func newFrameReader(in io.Reader) *frameReader {
	return &frameReader{in: bufio.NewReaderSize(in, 256<<10)}
}

// begin begins a frame. It skips skippable frames. At the end it returns io.EOF.
func (f *frameReader) begin() error {
	for {
		head, err := f.in.Peek(zstd.HeaderMaxSize)
		if len(head) == 0 {
			return err
		}
		var h zstd.Header
		if err := h.Decode(head); err != nil {
			return fmt.Errorf("reading the frame at %d: %w", f.at, err)
		}
		if !h.Skippable {
			f.left, f.last, f.checksum = int64(h.HeaderSize), false, h.HasCheckSum
			return nil
		}
		n, err := io.CopyN(io.Discard, f.in, int64(h.HeaderSize)+int64(h.SkippableSize))
		if f.at += n; err != nil {
			return fmt.Errorf("reading the frame at %d: %w", f.at, unexpected(err))
		}
	}
}

// Read implements io.Reader.
func (f *frameReader) Read(p []byte) (int, error) {
	for f.left == 0 {
		if !f.last {
			if err := f.block(); err != nil {
				return 0, err
			}
			break
		}
		if !f.checksum {
			return 0, io.EOF
		}
		f.left, f.checksum = 4, false
	}
	n, err := f.in.Read(p[:min(int64(len(p)), f.left)])
	f.at += int64(n)
	f.left -= int64(n)
	return n, unexpected(err)
}

// block reads the header of a block (RFC 8878, section 3.1.1.2).
func (f *frameReader) block() error {
	const rle = 1 // type of a block that repeats one byte
	head, err := f.in.Peek(3)
	if err != nil {
		return unexpected(err)
	}
	header := int64(head[0]) | int64(head[1])<<8 | int64(head[2])<<16
	f.last = header&1 == 1
	f.left = 3 + header>>3
	if header>>1&3 == rle {
		f.left = 3 + 1
	}
	return nil
}

// ended reports whether all bytes of the frame have been read.
func (f *frameReader) ended() bool { return f.left == 0 && f.last && !f.checksum }

// unexpected converts io.EOF to an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
