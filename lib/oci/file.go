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

// bare strips what an error says of an unfinished file: its name means nothing to anyone.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && temp.Is(filepath.Base(pe.Path)) {
		return pe.Err
	}
	return err
}

// createTemp creates an unfinished file in dir, with the mode that any new file has.
func createTemp(dir string) (*os.File, error) { return temp.Create(dir, 0o666) }

// finish gives a temporary file its contents for good and its name. On an error the file is gone. It is held until it
// has its name, and closing it can lose nothing that Sync has written.
func finish(f *os.File, name string) error {
	err := f.Sync()
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	_ = f.Close()
	if err != nil {
		_ = os.Remove(f.Name()) // err says more
	}
	return err
}

// writeFile puts a small file in place, in one step.
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

// copyFrom copies what r has, at most most bytes, and leaves that to the kernel where both are files. What is left to
// read tells the number of bytes: os.File.ReadFrom forgets those that the kernel has copied where it gives up half-way
// (EIO, EXDEV and others of copy_file_range) and is followed by reads and writes.
func copyFrom(w io.Writer, r io.Reader, most int64) (int64, error) {
	in := &io.LimitedReader{R: r, N: most}
	outer, limited := r.(*io.LimitedReader)
	if limited { // the kernel copies through one of them, not through two
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

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncFile(f), f.Close())
}

// syncFile is Sync where the file has a disk below it; pipes and terminals do not.
func syncFile(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
