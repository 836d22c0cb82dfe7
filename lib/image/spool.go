package image

import (
	"bufio"
	"errors"
	"io"
	"os"

	"chunkah/lib/temp"
)

// spoolBuffer is the size of one write, in bytes. Of sparse files, sparseChunk bytes
// are looked at at once.
const (
	spoolBuffer = 256 << 10
	sparseChunk = 64 << 10
)

// spooled holds the contents of one layer, or a whole archive.
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

// add appends what r has and returns its number of bytes.
func (s *spooled) add(r io.Reader) (int64, error) {
	n, err := s.buf.ReadFrom(r)
	s.size += n
	return n, err
}

// finish writes out what is left in memory.
func (s *spooled) finish() error {
	err := s.buf.Flush()
	if err == nil {
		err = s.file.Truncate(s.size) // where it ends in a hole
	}
	s.buf = nil
	return err
}

func (s *spooled) Close() error { return closed(s.file.Close()) }

// addSparse is add for what is mostly zeros, which take no room on disk.
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
			return s.size - start, nil // whether that is all is for the caller to say
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
