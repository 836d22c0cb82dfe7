package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"chunkah/lib/oci"
)

// tailed is a destination that takes a blob of unknown size where nothing else is
// written meanwhile.
type tailed interface {
	Append(most int64) (*oci.Tail, error)
}

// spool takes a compressed blob, which an archive has to know the size of: it is
// kept in a file until all blobs before it are there, and from then on goes
// straight to its place.
type spool struct {
	dir string

	mu   sync.Mutex
	file *os.File // has no name, or is the cache's; nil before the first byte
	tail *oci.Tail
}

// Write takes the next bytes of the blob.
func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil {
		return s.tail.Write(p)
	}
	if s.file == nil {
		var err error
		if s.file, err = createSpool(s.dir); err != nil {
			return 0, fmt.Errorf("creating a spool file: %w", err)
		}
	}
	return s.file.Write(p)
}

// enter sends the blob to its place: what there is of it, and all that comes.
func (s *spool) enter(ctx context.Context, tail *oci.Tail) error {
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
func (s *spool) copy(ctx context.Context, out io.Writer) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading a spool file: %w", err)
	}
	for {
		n, err := io.CopyN(out, s.file, spoolStep)
		if n < spoolStep && err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.closeFile() // it was only read since it was complete
}

func (s *spool) closeFile() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// createSpool makes a file that is gone when it is closed, however that comes.
func createSpool(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return f, nil
	}
	// Not every file system has files without a name.
	if f, err = os.CreateTemp(dir, ".chunkah-*.tmp"); err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
