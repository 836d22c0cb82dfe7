package extract

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"chunkah/lib/interrupt"
	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// File is a file that appears only when it is complete. A pipe, a device or an open file such as
// /dev/stdout is written directly.
type File struct {
	buf    *bufio.Writer
	file   *os.File
	name   string // name given by the user
	target string // path at which the file appears; empty if it is written directly
}

// tarBuffer is the number of bytes per write.
const tarBuffer = 256 << 10

// CreateFile creates a file. If name is a symlink, the link is kept and its target is replaced.
func CreateFile(ctx context.Context, name string) (*File, error) {
	f, err := interrupt.Open(ctx, name, func(name string) (*File, error) { return createFile(ctx, name) })
	if err != nil {
		return nil, fmt.Errorf("creating %q: %w", name, cause(err))
	}
	return f, nil
}

func createFile(ctx context.Context, name string) (*File, error) {
	target, isOpen, err := regular.Resolve(name)
	if err != nil {
		return nil, err
	}
	f := &File{name: name}
	old, err := os.Stat(target)
	switch {
	case err == nil && old.IsDir():
		return nil, errors.New("is a directory: use a file")
	case err == nil && (isOpen || !old.Mode().IsRegular()):
		f.file, err = os.OpenFile(target, os.O_WRONLY|os.O_APPEND, 0)
	case err == nil || errors.Is(err, fs.ErrNotExist):
		f.target = target
		if f.file, err = temp.Create(filepath.Dir(target), 0o666); err == nil && old != nil {
			_ = f.file.Chmod(old.Mode().Perm()) // the mode is kept as if the file were overwritten; on failure the default mode is used
		}
	}
	if err != nil {
		return nil, err
	}
	var w io.Writer = f.file
	if f.target == "" {
		w = interrupt.NewStream(ctx, f.file) // a reader can be slow
	}
	f.buf = bufio.NewWriterSize(w, tarBuffer)
	return f, nil
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.buf.Write(p)
	return n, f.writing(err)
}

func (f *File) writing(err error) error {
	if err != nil {
		err = &WriteError{fmt.Errorf("writing %q: %w", f.name, cause(err))}
	}
	return err
}

// Commit makes the file appear.
func (f *File) Commit() error {
	err := f.buf.Flush()
	if err == nil && f.target != "" {
		err = f.appear()
	}
	if err != nil {
		return f.writing(err)
	}
	f.target = ""
	return f.writing(f.file.Close())
}

// appear syncs the file, renames it, and syncs its directory.
func (f *File) appear() error {
	if err := f.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.file.Name(), f.target); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.target))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Discard removes the file. After Commit it does nothing.
func (f *File) Discard() error {
	if f.target != "" {
		_ = os.Remove(f.file.Name()) // the reason for discarding it matters more
		f.target = ""
	}
	if err := f.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return f.writing(err)
	}
	return nil
}
