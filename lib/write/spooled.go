package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"chunkah/lib/oci"
	"chunkah/lib/temp"
)

// spooledBlob receives a compressed blob. An archive needs the blob's size first, so the blob is
// kept in a file until all blobs before it are written. From then on, the blob is written directly
// to the archive.
type spooledBlob struct {
	dir string // directory for file

	mu    sync.Mutex
	file  *os.File // unnamed, or in the cache; nil before the first byte
	entry oci.BlobWriter
}

// Write implements io.Writer.
func (s *spooledBlob) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entry != nil {
		return s.entry.Write(p)
	}
	if s.file == nil {
		var err error
		if s.file, err = temp.CreateSpool(s.dir); err != nil {
			return 0, err
		}
	}
	return temp.SpoolWriter(s.file).Write(p)
}

// writeTo writes the bytes received so far to the archive. Further bytes go to the archive
// directly.
func (s *spooledBlob) writeTo(ctx context.Context, entry oci.BlobWriter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		if err := s.copy(ctx, entry); err != nil {
			return err
		}
	}
	s.entry = entry
	return s.closeFile()
}

// ReadAt reads the bytes that were written. It must not be called concurrently with another method.
func (s *spooledBlob) ReadAt(p []byte, off int64) (int, error) {
	if s.file == nil {
		return 0, io.EOF
	}
	n, err := s.file.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.readError(err)
	}
	return n, err
}

// spoolStep is how many bytes of a spool are copied between checks of the context.
const spoolStep = 64 << 20

// copy copies the file.
func (s *spooledBlob) copy(ctx context.Context, out io.Writer) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading temporary layer data: %w", err)
	}
	for {
		n, err := io.CopyN(out, s.file, spoolStep)
		if n < spoolStep && err == io.EOF {
			return nil
		}
		if err != nil {
			return s.readError(err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// readError adds the directory to an error from reading the file.
func (s *spooledBlob) readError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path == s.file.Name() {
		return fmt.Errorf("copying from %q: %w", temp.SpoolDir(s.dir), temp.SpoolCause(err))
	}
	return err
}

func (s *spooledBlob) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.closeFile() // after the blob was complete, the file was only read
}

func (s *spooledBlob) closeFile() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
