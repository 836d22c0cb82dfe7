package extract

import (
	"bytes"
	"context"
	"errors"
	"io"

	"chunkah/lib/interrupt"

	"golang.org/x/sys/unix"
)

// copyBuffer is the number of bytes per read. holeSize is the size in bytes of the blocks that
// become holes if they contain only zeros. It is small enough to find the holes in sparse files,
// and large enough that files are not fragmented on disk.
const (
	copyBuffer = 256 << 10
	holeSize   = 64 << 10
)

var zeros [holeSize]byte

// contents are the contents of a new file.
type contents struct {
	in      io.Reader
	size    int64
	writing func(error) error // adds the place to an error
}

// writeTo writes the contents. Blocks of zeros become holes.
func (c contents) writeTo(ctx context.Context, fd int, buf *[copyBuffer]byte) error {
	hole := false // the file ends in a hole so far
	for left := c.size; left > 0; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := buf[:min(copyBuffer, left)]
		if _, err := io.ReadFull(c.in, p); err != nil {
			return err
		}
		left -= int64(len(p))
		for len(p) > 0 {
			var err error
			n := holes(p)
			if n > 0 {
				hole = true
				_, err = unix.Seek(fd, int64(n), unix.SEEK_CUR)
			} else {
				n, hole = data(p), false
				err = writeAll(fd, p[:n])
			}
			if err != nil {
				return c.writing(err)
			}
			p = p[n:]
		}
	}
	if !hole {
		return nil
	}
	if err := interrupt.Retry(func() error { return unix.Ftruncate(fd, c.size) }); err != nil {
		return c.writing(err)
	}
	return nil
}

// holes returns the total length of the blocks at the start of p that contain only zeros.
func holes(p []byte) int {
	n := 0
	for len(p)-n >= holeSize && bytes.Equal(p[n:n+holeSize], zeros[:]) {
		n += holeSize
	}
	return n
}

// data returns the total length of the blocks at the start of p up to the first hole. It is at
// least one block.
func data(p []byte) int {
	n := min(holeSize, len(p))
	for n < len(p) && holes(p[n:min(n+holeSize, len(p))]) == 0 {
		n = min(n+holeSize, len(p))
	}
	return n
}

func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		p = p[max(n, 0):]
	}
	return nil
}
