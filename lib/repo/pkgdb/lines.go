package pkgdb

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"chunkah/lib/interrupt"
	"chunkah/lib/rootfs"
)

const (
	// maxLine is the largest size of a line, in bytes. Longer lines are faulty, because paths and
	// dependency lists are much shorter.
	maxLine = 256 << 10
	// maxFile is the largest size of an uncompressed file, in bytes. It is several times the size
	// of a database that lists every available package.
	maxFile = 256 << 20
	// maxTotal is the largest total size of all files that one Lines reads, in bytes. A million
	// listed files need a fifth of it.
	maxTotal = 512 << 20
	// maxWindow is the largest zstd window, in bytes, which limits the memory for decompression.
	// Level 19 uses a window of this size.
	maxWindow = 8 << 20
)

// Lines reads text files line by line. The same Lines is used for all files of a database, one
// after another.
type Lines struct {
	buf   *bufio.Reader
	total int64 // bytes left to read, in all files
	text  []byte
	fault string
	num   int
	left  int64 // bytes left to read, in this file
	limit int64
	ended bool
	err   error
}

// NewLines returns a Lines that has no file to read yet.
func NewLines() *Lines {
	return &Lines{buf: bufio.NewReaderSize(nil, maxLine), total: maxTotal}
}

// Reset starts to read another file, of at most limit bytes.
func (l *Lines) Reset(r io.Reader, limit int64) {
	l.buf.Reset(r)
	*l = Lines{buf: l.buf, total: l.total, left: limit, limit: limit, ended: true}
}

// Next reads the next line. It returns false at the end of the file and on an error. Err returns
// that error.
func (l *Lines) Next() bool {
	if l.err != nil {
		return false
	}
	l.fault = ""
	line, err := l.read()
	for errors.Is(err, bufio.ErrBufferFull) {
		l.fault = fmt.Sprintf("is longer than %d bytes", maxLine)
		line, err = l.read()
	}
	switch {
	case err != nil && err != io.EOF:
		l.err = err
		return false
	case err == io.EOF && len(line) == 0 && l.fault == "":
		return false
	}
	l.num++
	l.ended = err == nil
	l.text = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	switch {
	case l.fault != "":
		l.text = nil
	case bytes.IndexByte(l.text, 0) >= 0:
		l.text, l.fault = nil, "contains a NUL"
	}
	return true
}

// read reads a line, or the part of it that fits into the buffer.
func (l *Lines) read() ([]byte, error) {
	line, err := l.buf.ReadSlice('\n')
	l.left -= int64(len(line))
	l.total -= int64(len(line))
	switch {
	case l.left < 0:
		return nil, fmt.Errorf("has more than %d bytes", l.limit)
	case l.total < 0:
		return nil, fmt.Errorf("the database has more than %d bytes", maxTotal)
	}
	return line, err
}

// Text returns the line without its line ending, LF or CRLF. It returns nil if the line is faulty.
// The result is valid until the next line is read.
func (l *Lines) Text() []byte { return l.text }

// Fault describes why the line is invalid. It returns "" if the line is valid.
func (l *Lines) Fault() string { return l.fault }

// Number returns the line number, starting at 1.
func (l *Lines) Number() int { return l.num }

// Ended reports whether the last line read is complete. A file that stops within a line may have
// been truncated.
func (l *Lines) Ended() bool { return l.ended }

// Err returns the error that stopped Next.
func (l *Lines) Err() error { return l.err }

// Read calls parse with the file at a physical path, and checks that the file did not change while
// it was read. Errors name the path.
func (l *Lines) Read(ctx context.Context, root *rootfs.Root, path string, parse func(*Lines) error) error {
	return l.file(ctx, root, path, func(r io.Reader) error {
		l.Reset(r, maxFile)
		return l.finish(parse)
	})
}

// ReadGzip is Read for a file compressed with gzip.
func (l *Lines) ReadGzip(ctx context.Context, root *rootfs.Root, path string, parse func(*Lines) error) error {
	return l.file(ctx, root, path, func(r io.Reader) error {
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		l.Reset(z, maxFile)
		if err := l.finish(parse); err != nil {
			return err
		}
		return z.Close()
	})
}

// ReadZstd is Read for a file compressed with zstd.
func (l *Lines) ReadZstd(ctx context.Context, root *rootfs.Root, path string, parse func(*Lines) error) error {
	return l.file(ctx, root, path, func(r io.Reader) error {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return err
		}
		defer z.Close()
		l.Reset(z, maxFile)
		return l.finish(parse)
	})
}

func (l *Lines) finish(parse func(*Lines) error) error {
	if err := parse(l); err != nil {
		return err
	}
	return l.err
}

func (l *Lines) file(ctx context.Context, root *rootfs.Root, path string, read func(io.Reader) error) (err error) {
	f, err := root.OpenFile(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	before, err := f.Stat()
	if err != nil {
		return err
	}
	if before.Size > maxFile {
		return fmt.Errorf("reading %q: the file is %d bytes, above the limit of %d", path, before.Size, maxFile)
	}
	if err := read(interrupt.Reader(ctx, f)); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("reading %q: %w", path, err)
	}
	after, err := f.Stat()
	if err == nil && !after.Same(before) {
		err = fmt.Errorf("reading %q: changed while it was being read", path)
	}
	return err
}
