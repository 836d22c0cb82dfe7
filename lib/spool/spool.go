// Package spool creates temporary files without names: nobody else can open them, and they
// disappear with the process.
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

// Dir returns the directory for Create: dir, or TMPDIR if dir is empty, otherwise /var/tmp, and
// /tmp only if that is not writable. /tmp can be in memory, which is too small for layers.
func Dir(dir string) string {
	if dir != "" {
		return dir
	}
	return temp.Dir("/var/tmp", "/tmp")
}

// Create creates a file in the directory returned by Dir.
func Create(dir string) (*os.File, error) {
	dir = Dir(dir)
	f, err := unnamed(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("creating a spool in %q: %w: create the directory, or set another one with --spool or TMPDIR", dir, Cause(err))
	}
	if err != nil {
		return nil, fmt.Errorf("creating a spool in %q: %w", dir, Cause(err))
	}
	return f, nil
}

// unnamed opens a file without a name. On file systems without support for this, the file has a
// name for a moment.
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

// Writer writes to a file from Create. It only implements io.Writer, so that io.Copy uses large
// writes, and its errors name the directory.
func Writer(f *os.File) io.Writer { return writer{f} }

type writer struct{ file *os.File }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil {
		err = fmt.Errorf("writing a spool in %q: %w", w.file.Name(), Cause(err))
	}
	return n, err
}

// Cause removes the path from an error: for a spool it is the directory, or a meaningless name.
func Cause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}
