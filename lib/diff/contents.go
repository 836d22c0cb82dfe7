package diff

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// Sum is the SHA-256 of a file's contents.
type Sum = [sha256.Size]byte

// readBuffer is the number of bytes of one read: large enough that system calls do
// not count, small enough to stay in the second-level cache.
const readBuffer = 128 << 10

// buffers are *[2][readBuffer]byte that go from file to file.
var buffers = sync.Pool{New: func() any { return new([2][readBuffer]byte) }}

// errChanged says that a file did not hold still.
var errChanged = errors.New("it changed: nothing may write to the root while it is compared")

// contents compares two files that are equally long.
func (c *comparison) contents(f *format.File) error {
	buf := buffers.Get().(*[2][readBuffer]byte)
	defer buffers.Put(buf)
	if c.a.Sum == nil && c.b.Sum == nil {
		same, err := c.sameBytes(f, buf)
		if err == nil && !same {
			c.add(Difference{Path: f.Path, Field: FieldContents})
		}
		return err
	}
	a, err := c.sum(c.a, f, buf[0][:])
	if err != nil {
		return err
	}
	b, err := c.sum(c.b, f, buf[0][:])
	if err == nil && a != b {
		c.add(Difference{Path: f.Path, Field: FieldContents, A: new(hex.EncodeToString(a[:])), B: new(hex.EncodeToString(b[:]))})
	}
	return err
}

// sum tells the sum of a file that is as long as f, or reads it.
func (c *comparison) sum(side Side, f *format.File, buf []byte) (sum Sum, err error) {
	if side.Sum != nil {
		return side.Sum(f.Path)
	}
	in, err := side.Root.OpenFile(f.Path)
	if err != nil {
		return sum, err
	}
	defer in.Close()
	hash := sha256.New()
	n, err := io.CopyBuffer(hash, &interruptible{c.ctx, in}, buf)
	if err == nil {
		err = held(in, n, f)
	}
	return Sum(hash.Sum(nil)), err
}

// sameBytes reads both files side by side, to the first difference.
func (c *comparison) sameBytes(f *format.File, buf *[2][readBuffer]byte) (bool, error) {
	in, err := c.a.Root.OpenFile(f.Path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	other, err := c.b.Root.OpenFile(f.Path)
	if err != nil {
		return false, err
	}
	defer other.Close()
	for total := int64(0); ; {
		n, err := io.ReadFull(&interruptible{c.ctx, in}, buf[0][:])
		if err != nil && !isEnd(err) {
			return false, err
		}
		m, err := io.ReadFull(&interruptible{c.ctx, other}, buf[1][:])
		if err != nil && !isEnd(err) {
			return false, err
		}
		if !bytes.Equal(buf[0][:n], buf[1][:m]) {
			return false, nil
		}
		if total += int64(n); n < readBuffer {
			return true, errors.Join(held(in, total, f), held(other, total, f))
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// held makes sure that a file of which n bytes were read is the one of the record.
func held(in *rootfs.File, n int64, f *format.File) error {
	after, err := in.Stat()
	if err == nil && (n != f.Size || !after.Same(in.Opened())) {
		err = fmt.Errorf("reading %q: %w", f.Path, errChanged)
	}
	return err
}

// interruptible stops reading where its context ends.
type interruptible struct {
	ctx context.Context // of this one read
	in  io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.in.Read(p)
}
