// Package replace puts a small file in place: whole, or it is as it was.
package replace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// File gives the file of that name these contents, in one step. To a pipe or a
// device they are written straight.
func File(name string, data []byte) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, data, 0o666)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".chunkah-*.tmp")
	if err != nil {
		return err
	}
	if err := fill(f, data); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// fill writes and closes a file that others may read. It is not synced: what is
// written this way can be made again after a crash.
func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return errors.Join(err, f.Chmod(0o644), f.Close())
}
