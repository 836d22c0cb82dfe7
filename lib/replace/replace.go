// Package replace puts small files in place: whole, or they are as they were.
package replace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// File gives the file of that name these contents, in one step. To a pipe or a device they are
// written straight.
func File(name string, data []byte) error {
	p, err := Prepare(name, data)
	if err != nil {
		return err
	}
	return p.Commit()
}

// Pending is a file that has its contents and not yet its name. It ends with Commit or Discard; a
// nil one does nothing.
type Pending struct {
	file *os.File // held, so that nobody takes it for a leftover; nil at the end
	name string
}

// Prepare writes all that may fail of it for want of room or rights. A pipe or a device has the
// contents from then on, and so has a file that is open, as /dev/stdout is. Any other symlink is
// replaced, and not what it leads to.
func Prepare(name string, data []byte) (*Pending, error) {
	target, opened, err := regular.Resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(target)
	if err == nil && (opened || !info.Mode().IsRegular()) {
		return nil, writeTo(target, data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := temp.Create(filepath.Dir(name), 0o600)
	if err != nil {
		return nil, about(name, err)
	}
	p := &Pending{f, name}
	if err := fill(f, data); err != nil {
		p.Discard()
		return nil, about(name, err)
	}
	return p, nil
}

// writeTo writes to what is there and cannot be replaced. A file that a process has open is written
// on where it stands.
func writeTo(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// about is an error of a file that is not finished, with the name that it was to have: the one that
// it had means nothing to anyone.
func about(name string, err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: path.Op, Path: name, Err: path.Err}
	}
	return err
}

// Commit gives the file its name.
func (p *Pending) Commit() error {
	if p == nil {
		return nil
	}
	if err := os.Rename(p.file.Name(), p.name); err != nil {
		p.Discard()
		return err
	}
	return p.close()
}

// Discard removes what was prepared; after Commit it does nothing, so that it can be deferred.
func (p *Pending) Discard() {
	if p != nil && p.file != nil {
		_ = os.Remove(p.file.Name()) // why it is not wanted says more
		_ = p.close()
	}
}

func (p *Pending) close() error {
	f := p.file
	p.file = nil
	return f.Close()
}

// fill writes a file that others may read. It is not synced: what is written this way can be made
// again after a crash.
func fill(f *os.File, data []byte) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Chmod(0o644)
}
