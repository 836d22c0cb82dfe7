package image

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// spoolBuffer is the size of one write, in bytes. Of sparse files, sparseChunk bytes
// are looked at at once.
const (
	spoolBuffer = 256 << 10
	sparseChunk = 64 << 10
)

// spool is a file without a name: nobody else can open it, and it is gone with
// the process, however that ends.
type spool struct {
	file *os.File
	buf  *bufio.Writer
	size int64
}

// spoolDir is where spools lie if nobody says: /tmp may be memory, which layers do
// not fit in.
func spoolDir(dir string) string {
	if dir != "" {
		return dir
	}
	if dir = os.Getenv("TMPDIR"); dir != "" {
		return dir
	}
	return "/var/tmp"
}

func newSpool(dir string) (*spool, error) {
	f, err := unnamed(spoolDir(dir))
	if err != nil {
		return nil, fmt.Errorf("creating a spool: %w", err)
	}
	// The writer does not see that it is a file, which would read for itself.
	return &spool{file: f, buf: bufio.NewWriterSize(struct{ io.Writer }{f}, spoolBuffer)}, nil
}

// unnamed opens a file without a name. Where the file system does not know such
// files, it has one for a moment.
func unnamed(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), dir), nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	f, err := os.CreateTemp(dir, ".chunkah-*.tmp") // owner only
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// add appends what r has and returns its number of bytes.
func (s *spool) add(r io.Reader) (int64, error) {
	n, err := s.buf.ReadFrom(r)
	s.size += n
	return n, err
}

// finish writes out what is left in memory.
func (s *spool) finish() error {
	err := s.buf.Flush()
	if err == nil {
		err = s.file.Truncate(s.size) // where it ends in a hole
	}
	s.buf = nil
	if err != nil {
		return fmt.Errorf("writing a spool: %w", err)
	}
	return nil
}

func (s *spool) Close() error { return s.file.Close() }

// addSparse is add for what is mostly zeros, which take no room on disk.
func (s *spool) addSparse(r io.Reader) (int64, error) {
	start := s.size
	chunk := make([]byte, sparseChunk)
	for {
		n, err := io.ReadFull(r, chunk)
		if allZero(chunk[:n]) {
			if err := s.hole(n); err != nil {
				return s.size - start, err
			}
		} else if _, err := s.buf.Write(chunk[:n]); err != nil {
			return s.size - start, err
		}
		s.size += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return s.size - start, nil // whether that is all is for the caller to say
		}
		if err != nil {
			return s.size - start, err
		}
	}
}

func (s *spool) hole(n int) error {
	if err := s.buf.Flush(); err != nil {
		return err
	}
	_, err := s.file.Seek(int64(n), io.SeekCurrent)
	return err
}
