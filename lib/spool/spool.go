// Package spool makes files for what has to wait on disk: without a name, so that nobody else can
// open them and nothing is left of them, however the process ends.
package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"chunkah/lib/temp"
)

// Dir is where Create makes files: dir, or TMPDIR where that is empty, or else /var/tmp, or /tmp
// where that cannot be: it may be memory, which layers do not fit in.
func Dir(dir string) string {
	if dir != "" {
		return dir
	}
	return temp.Dir("/var/tmp", "/tmp")
}

// Create makes a file in the folder that Dir says.
func Create(dir string) (*os.File, error) {
	dir = Dir(dir)
	f, err := unnamed(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("creating a spool in %q: %w: make the folder, or name another one with --spool or TMPDIR", dir, Cause(err))
	}
	if err != nil {
		return nil, fmt.Errorf("creating a spool in %q: %w", dir, Cause(err))
	}
	return f, nil
}

// unnamed opens a file without a name. Where the file system does not know such files, it has one
// for a moment.
func unnamed(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return f, err
	}
	if f, err = temp.Create(dir, 0o600); err != nil { // owner only
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Writer writes to a file that Create made. It is nothing but a writer, which those who copy fill
// in large pieces, and it says what could not be written.
func Writer(f *os.File) io.Writer { return writer{f} }

type writer struct{ file *os.File }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil {
		err = fmt.Errorf("writing a spool in %q: %w", w.file.Name(), Cause(err))
	}
	return n, err
}

// Cause is an error without the path: of a spool that is the folder's, or a name that means nothing
// to anyone.
func Cause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}
