package temp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// SpoolDir returns the directory for CreateSpool: dir, else TMPDIR, else /var/tmp, and only if that
// is not writable, /tmp. /tmp can be in memory, which is too small for layers.
func SpoolDir(dir string) string {
	if dir != "" {
		return dir
	}
	return Dir("/var/tmp", "/tmp")
}

// CreateSpool creates an unnamed temporary file in the directory returned by SpoolDir: nobody else
// can open it, and it disappears with the process.
func CreateSpool(dir string) (*os.File, error) {
	dir = SpoolDir(dir)
	f, err := unnamed(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("creating a temporary file for layer data in %q: %w: create the directory, or set another one with --spool or TMPDIR", dir, SpoolCause(err))
	}
	if err != nil {
		return nil, fmt.Errorf("creating a temporary file for layer data in %q: %w", dir, SpoolCause(err))
	}
	return f, nil
}

// unnamed opens an unnamed file. On file systems that do not support unnamed files, the file has a
// name for a moment.
func unnamed(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return f, err
	}
	if f, err = Create(dir, 0o600); err != nil { // owner only
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// SpoolWriter returns a writer to a file from CreateSpool. It implements only io.Writer, so that
// io.Copy uses large writes. Its errors name the directory.
func SpoolWriter(f *os.File) io.Writer { return spoolWriter{f} }

type spoolWriter struct{ file *os.File }

func (w spoolWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil {
		err = fmt.Errorf("writing temporary layer data in %q: %w", w.file.Name(), SpoolCause(err))
	}
	return n, err
}

// SpoolCause removes the path from an error, because a spool's path is only its directory or a
// meaningless name.
func SpoolCause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}
