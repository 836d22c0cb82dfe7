package rpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"chunkah/lib/rootfs"
	"chunkah/lib/temp"
)

const (
	// maxDatabase is the largest size of a database and its private copy, in bytes. It is several
	// times the size of the largest known database.
	maxDatabase = 2 << 30
	copyBuffer  = 1 << 20 // bytes; ctx is checked after each buffer
	// Fixed names in a private copy's directory, so that names from the tree are never used in
	// paths outside the tree.
	copyName = "db"
	walName  = copyName + "-wal" // SQLite's name for the log
)

// private is a database's private copy, in a directory that only this user can enter. Readers
// remove the directory as soon as the copy is open, so that even a killed process leaves no files
// behind.
type private struct {
	dir  string
	lock *os.File // the directory, locked until it is removed
	// wal reports whether a write-ahead log was copied too.
	wal bool
	// indexes is an error in the database's indexes. It is set only if all packages could be read
	// nevertheless.
	indexes error
}

// path returns the path of the copied database.
func (c *private) path() string { return filepath.Join(c.dir, copyName) }

// open opens the copy and removes the directory.
func (c *private) open() (*os.File, error) {
	f, err := os.Open(c.path())
	if err != nil {
		return nil, err
	}
	if err := c.remove(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// remove removes the directory. A second call does nothing.
func (c *private) remove() error {
	err := os.RemoveAll(c.dir)
	if c.lock != nil {
		_ = c.lock.Close() // read-only
		c.lock = nil
	}
	if err != nil {
		return fmt.Errorf("removing private copy: %w", err)
	}
	return nil
}

// copyOut copies the database at path and its write-ahead log, if there is one, into a new
// directory below tmp, or the system's default if tmp is empty. Both copies must show the same
// state, so it is an error if a file changes while it is copied.
func copyOut(ctx context.Context, root *rootfs.Root, path, tmp string) (_ *private, err error) {
	if tmp == "" {
		tmp = temp.Dir("/tmp", "/var/tmp")
	}
	lock, err := temp.Mkdir(tmp, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making a private copy of %q (TMPDIR sets its directory): %w", path, err)
	}
	c := &private{dir: lock.Name(), lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
		}
	}()
	main, err := openOriginal(root, path)
	if err != nil {
		return nil, err
	}
	defer main.file.Close()
	wal, err := openOriginal(root, path+"-wal")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		wal = nil
	case err != nil:
		return nil, err
	default:
		defer wal.file.Close()
	}
	if err := main.copyTo(ctx, c.path()); err != nil {
		return nil, err
	}
	if wal != nil {
		c.wal = true
		if err := wal.copyTo(ctx, filepath.Join(c.dir, walName)); err != nil {
			return nil, err
		}
		if err := wal.unchanged(); err != nil {
			return nil, err
		}
	}
	return c, main.unchanged()
}

// original is an open file of the tree with its metadata from the time of opening.
type original struct {
	file   *rootfs.File
	before rootfs.Stat
}

func openOriginal(root *rootfs.Root, path string) (*original, error) {
	f, err := root.OpenFile(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.Size > maxDatabase {
		err = fmt.Errorf("reading %q: has %d bytes, but a database can have at most %d", path, st.Size, maxDatabase)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &original{file: f, before: st}, nil
}

// copyTo copies the bytes that the file had when it was opened.
func (s *original) copyTo(ctx context.Context, path string) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copying %q: %w", s.file.Name(), err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buf := make([]byte, min(copyBuffer, s.before.Size+1))
	for left := s.before.Size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.file.Read(buf[:min(int64(len(buf)), left)])
		if err == io.EOF {
			return s.changed()
		}
		if err != nil {
			return err
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return fmt.Errorf("copying %q (TMPDIR sets its directory): %w", s.file.Name(), err)
		}
		left -= int64(n)
	}
	return nil
}

// unchanged returns an error if the file has changed since it was opened.
func (s *original) unchanged() error {
	now, err := s.file.Stat()
	if err != nil {
		return err
	}
	if !now.Same(s.before) {
		return s.changed()
	}
	return nil
}

func (s *original) changed() error {
	return fmt.Errorf("reading %q: changed while it was being read", s.file.Name())
}
