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

// spooledBlob takes a compressed blob, whose size an archive has to know first: it is
// kept in a file until all blobs before it are written, and from then on goes
// straight to the archive.
type spooledBlob struct {
	dir string // where file is

	mu    sync.Mutex
	file  *os.File // has no name, or is the cache's; nil before the first byte
	entry oci.BlobWriter
}

// Write takes the next bytes of the blob.
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

// writeTo writes to the archive what there is of the blob, and from then on all of it.
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

// spoolStep is how much of a spool is copied before a look at the context, in
// bytes.
const spoolStep = 64 << 20

// copy copies what the file has.
func (s *spooledBlob) copy(ctx context.Context, out io.Writer) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading a spool file: %w", err)
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

// readError names the folder if an error is one of reading the file.
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
	_ = s.closeFile() // it was only read since it was complete
}

func (s *spooledBlob) closeFile() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
