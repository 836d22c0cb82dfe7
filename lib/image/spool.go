package image

import (
	"bufio"
	"errors"
	"io"
	"os"

	"chunkah/lib/temp"
)

// spoolBuffer is the number of bytes per write. sparseChunk is the number of bytes in the pieces of
// a sparse file that are checked for zeros.
const (
	spoolBuffer = 256 << 10
	sparseChunk = 64 << 10
)

// spooled is a temporary file with the contents of one layer or of a whole archive.
type spooled struct {
	file *os.File
	buf  *bufio.Writer
	size int64
}

func newSpool(dir string) (*spooled, error) {
	f, err := temp.CreateSpool(dir)
	if err != nil {
		return nil, err
	}
	return &spooled{file: f, buf: bufio.NewWriterSize(temp.SpoolWriter(f), spoolBuffer)}, nil
}

// add appends the data of r and returns its size.
func (s *spooled) add(r io.Reader) (int64, error) {
	n, err := s.buf.ReadFrom(r)
	s.size += n
	return n, err
}

// finish flushes the buffer.
func (s *spooled) finish() error {
	err := s.buf.Flush()
	if err == nil {
		err = s.file.Truncate(s.size) // needed if the file ends in a hole
	}
	s.buf = nil
	return err
}

func (s *spooled) Close() error { return closed(s.file.Close()) }

// addSparse works like add, but zeros become holes, which take no disk space.
func (s *spooled) addSparse(r io.Reader) (int64, error) {
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
			return s.size - start, nil // the caller checks the size
		}
		if err != nil {
			return s.size - start, err
		}
	}
}

func (s *spooled) hole(n int) error {
	if err := s.buf.Flush(); err != nil {
		return err
	}
	_, err := s.file.Seek(int64(n), io.SeekCurrent)
	return err
}
