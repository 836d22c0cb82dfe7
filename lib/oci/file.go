package oci

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"chunkah/lib/temp"
)

// withoutTempName removes the name of an unfinished file from an error, because the name does not
// help the user.
func withoutTempName(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && temp.Is(filepath.Base(pe.Path)) {
		return pe.Err
	}
	return err
}

// createTemp creates an unfinished file in dir with the default mode of new files.
func createTemp(dir string) (*os.File, error) { return temp.Create(dir, 0o666) }

// finish syncs a temporary file and renames it to its final name. On failure, it removes the file.
// The file stays locked until it is renamed. Closing it cannot lose data, because it is synced.
func finish(f *os.File, name string) error {
	err := f.Sync()
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	_ = f.Close()
	if err != nil {
		_ = os.Remove(f.Name()) // err is more useful
	}
	return err
}

// writeFile writes a small file atomically.
func writeFile(name string, data []byte) error {
	f, err := createTemp(filepath.Dir(name))
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return finish(f, name)
}

// copyFrom copies up to most bytes from r to w. If both are files, the kernel copies the bytes. The
// number of copied bytes is computed from the remaining limit, because ReadFrom's result can be too
// small: if copy_file_range fails half-way (EIO, EXDEV and others), os.File.ReadFrom continues with
// reads and writes, and does not count the first part.
func copyFrom(w io.Writer, r io.Reader, most int64) (int64, error) {
	in := &io.LimitedReader{R: r, N: most}
	outer, limited := r.(*io.LimitedReader)
	if limited { // the kernel can copy through one LimitedReader, not through two
		in.R, in.N = outer.R, min(outer.N, most)
	}
	before := in.N
	_, err := io.Copy(w, in)
	n := before - in.N
	if limited {
		outer.N -= n
	}
	return n, err
}

// syncDir syncs a directory, so that the names in it are on disk.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncFile(f), f.Close())
}

// syncFile is Sync for files on a disk. Pipes and terminals do not support it.
func syncFile(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
