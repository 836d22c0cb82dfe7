package diff

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"sync"

	"chunkah/format"
	"chunkah/lib/interrupt"
	"chunkah/lib/rootfs"
)

// Sum is the SHA-256 of a file's contents.
type Sum = [sha256.Size]byte

// readBuffer is the number of bytes per read. It is large enough to make system calls cheap and
// small enough for the second-level cache.
const readBuffer = 128 << 10

// buffers are reused *[2][readBuffer]byte.
var buffers = sync.Pool{New: func() any { return new([2][readBuffer]byte) }}

// errChanged is the error for a file that changed during the comparison.
var errChanged = errors.New("file changed: do not write to the root during the comparison")

// A batch contains files in one directory, so that the directory is opened only once. Opening a
// directory costs as much as reading a small file.
const (
	batchFiles = 64      // so that several cores share a directory with many files
	batchBytes = 4 << 20 // or with a few large ones
)

// batch collects files whose contents are to be compared.
type batch struct {
	files []*format.File
	bytes int64
}

// compare schedules the comparison of two files of equal length. The comparison starts at the next
// flush at the latest.
func (c *comparison) compare(ctx context.Context, f *format.File) {
	b := &c.batch
	if len(b.files) == batchFiles || b.bytes >= batchBytes || len(b.files) > 0 && path.Dir(b.files[0].Path) != path.Dir(f.Path) {
		c.flush(ctx)
	}
	b.files = append(b.files, f)
	b.bytes += f.Size
}

// flush starts reading the collected batch.
func (c *comparison) flush(ctx context.Context) {
	if files := c.batch.files; len(files) > 0 {
		c.group.Go(func() error { return c.read(ctx, files) })
	}
	c.batch = batch{}
}

// read compares the contents of files in one directory.
func (c *comparison) read(ctx context.Context, files []*format.File) error {
	dir := path.Dir(files[0].Path)
	a, err := c.a.openDir(dir)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := c.b.openDir(dir)
	if err != nil {
		return err
	}
	defer b.Close()
	buf := buffers.Get().(*[2][readBuffer]byte)
	defer buffers.Put(buf)
	for _, f := range files {
		if err := c.contents(ctx, a, b, f, buf); err != nil {
			return err
		}
	}
	return nil
}

// sideDir is a directory of one side.
type sideDir struct {
	Side
	*rootfs.Dir // nil if the checksums are known
}

func (s Side) openDir(path string) (sideDir, error) {
	if s.Sum != nil {
		return sideDir{Side: s}, nil
	}
	dir, err := s.Root.OpenDir(path)
	return sideDir{s, dir}, err
}

func (f sideDir) Close() {
	if f.Dir != nil {
		_ = f.Dir.Close() // it was only read
	}
}

// open opens a file that the walk has just visited.
func (f sideDir) open(of *format.File) (*rootfs.File, error) { return f.OpenSeen(path.Base(of.Path)) }

// contents compares two files of equal length.
func (c *comparison) contents(ctx context.Context, x, y sideDir, f *format.File, buf *[2][readBuffer]byte) error {
	if x.Sum == nil && y.Sum == nil {
		same, err := c.sameBytes(ctx, x, y, f, buf)
		if err == nil && !same {
			c.add(Difference{Path: f.Path, Field: FieldContents})
		}
		return err
	}
	a, err := c.sum(ctx, x, f, buf[0][:])
	if err != nil {
		return err
	}
	b, err := c.sum(ctx, y, f, buf[0][:])
	if err == nil && a != b {
		c.add(Difference{Path: f.Path, Field: FieldContents, A: new(hex.EncodeToString(a[:])), B: new(hex.EncodeToString(b[:]))})
	}
	return err
}

// sum returns the checksum of a file with the size of f. It reads the file if the checksum is not
// known.
func (c *comparison) sum(ctx context.Context, side sideDir, f *format.File, buf []byte) (sum Sum, err error) {
	if side.Sum != nil {
		return side.Sum(f.Path)
	}
	in, err := side.open(f)
	if err != nil {
		return sum, err
	}
	defer in.Close()
	hash := sha256.New()
	n, err := io.CopyBuffer(hash, interrupt.Reader(ctx, c.opt.Work.Reader(in)), buf)
	if err == nil {
		err = checkUnchanged(in, n, f)
	}
	return Sum(hash.Sum(nil)), err
}

// sameBytes reads both files in parallel, up to the first difference.
func (c *comparison) sameBytes(ctx context.Context, x, y sideDir, f *format.File, buf *[2][readBuffer]byte) (bool, error) {
	in, err := x.open(f)
	if err != nil {
		return false, err
	}
	defer in.Close()
	other, err := y.open(f)
	if err != nil {
		return false, err
	}
	defer other.Close()
	for total := int64(0); ; {
		n, err := io.ReadFull(interrupt.Reader(ctx, in), buf[0][:])
		if err != nil && !isEnd(err) {
			return false, err
		}
		m, err := io.ReadFull(interrupt.Reader(ctx, other), buf[1][:])
		if err != nil && !isEnd(err) {
			return false, err
		}
		c.opt.Work.Did(int64(n) + int64(m))
		if !bytes.Equal(buf[0][:n], buf[1][:m]) {
			return false, nil
		}
		if total += int64(n); n < readBuffer {
			return true, errors.Join(checkUnchanged(in, total, f), checkUnchanged(other, total, f))
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// checkUnchanged makes sure that a file still matches its record after n bytes were read.
func checkUnchanged(in *rootfs.File, n int64, f *format.File) error {
	after, err := in.Stat()
	if err == nil && (n != f.Size || !after.Same(in.Opened())) {
		err = fmt.Errorf("reading %q: %w", f.Path, errChanged)
	}
	return err
}
