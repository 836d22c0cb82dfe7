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
	"chunkah/lib/spool"
)

// tailed is a destination that takes a blob of unknown size where nothing else is
// written meanwhile.
type tailed interface {
	Append(most int64) (*oci.Tail, error)
}

// waiting takes a compressed blob, which an archive has to know the size of: it is
// kept in a file until all blobs before it are there, and from then on goes
// straight to its place.
type waiting struct {
	dir string // where file is

	mu   sync.Mutex
	file *os.File // has no name, or is the cache's; nil before the first byte
	tail *oci.Tail
}

// Write takes the next bytes of the blob.
func (s *waiting) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil {
		return s.tail.Write(p)
	}
	if s.file == nil {
		var err error
		if s.file, err = spool.Create(s.dir); err != nil {
			return 0, err
		}
	}
	return spool.Writer(s.file).Write(p)
}

// enter sends the blob to its place: what there is of it, and all that comes.
func (s *waiting) enter(ctx context.Context, tail *oci.Tail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		if err := s.copy(ctx, tail); err != nil {
			return err
		}
	}
	s.tail = tail
	return s.closeFile()
}

// spoolStep is how much of a spool is copied before a look at the context, in
// bytes.
const spoolStep = 64 << 20

// copy copies what was kept so far.
func (s *waiting) copy(ctx context.Context, out io.Writer) error {
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

// readError names the folder where an error is one of reading what was kept.
func (s *waiting) readError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path == s.file.Name() {
		return fmt.Errorf("copying from %q: %w", spool.Dir(s.dir), spool.Cause(err))
	}
	return err
}

func (s *waiting) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.closeFile() // it was only read since it was complete
}

func (s *waiting) closeFile() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
