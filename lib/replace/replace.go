// Package replace puts small files in place: whole, or they are as they were.
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
	p, err := Prepare(name, data)
	if err != nil {
		return err
	}
	return p.Commit()
}

// Pending is a file that has its contents and not yet its name. It ends with
// Commit or Discard; a nil one does nothing.
type Pending struct{ temp, name string }

// Prepare writes all that may fail of it for want of room or rights. A pipe or a
// device has the contents from then on.
func Prepare(name string, data []byte) (*Pending, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, os.WriteFile(name, data, 0o666)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".chunkah-*.tmp")
	if err != nil {
		return nil, err
	}
	if err := fill(f, data); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return &Pending{f.Name(), name}, nil
}

// Commit gives the file its name.
func (p *Pending) Commit() error {
	if p == nil {
		return nil
	}
	if err := os.Rename(p.temp, p.name); err != nil {
		return errors.Join(err, os.Remove(p.temp))
	}
	p.temp = ""
	return nil
}

// Discard removes what was prepared; after Commit it does nothing, so that it can
// be deferred.
func (p *Pending) Discard() {
	if p != nil && p.temp != "" {
		_ = os.Remove(p.temp) // why it is not wanted says more
		p.temp = ""
	}
}

// fill writes and closes a file that others may read. It is not synced: what is
// written this way can be made again after a crash.
func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return errors.Join(err, f.Chmod(0o644), f.Close())
}
