package temp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"chunkah/lib/interrupt"
	"chunkah/lib/regular"
)

// Replace replaces the contents of a file atomically. Pipes and devices are written directly.
func Replace(name string, data []byte) error {
	p, err := Prepare(name, bytes.NewReader(data))
	if err != nil {
		return err
	}
	return p.Commit()
}

// ReplaceContext does the same as Replace, until ctx is done. For a pipe, it waits until another
// process opens the pipe for reading.
func ReplaceContext(ctx context.Context, name string, data []byte) error {
	_, err := interrupt.Open(ctx, name, func(name string) (any, error) { return nil, Replace(name, data) })
	return err
}

// Pending is a file that is complete but still has a temporary name. It must be committed or
// discarded. Both methods do nothing on nil.
type Pending struct {
	file *os.File // open and locked, so that it is not mistaken for a leftover; nil once committed or discarded
	name string
}

// Prepare performs every step that can fail because of missing space or permission. A pipe, a
// device or an open file of a process, for example /dev/stdout, is written immediately. If name is
// any other symlink, the symlink itself is replaced, not its target.
func Prepare(name string, data io.WriterTo) (*Pending, error) {
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
	f, err := Create(filepath.Dir(name), 0o600)
	if err != nil {
		return nil, withName(name, err)
	}
	p := &Pending{f, name}
	if err := fill(f, data); err != nil {
		p.Discard()
		return nil, withName(name, err)
	}
	return p, nil
}

// writeTo writes to a file that cannot be replaced. In an open file of a process, it writes at the
// current position.
func writeTo(name string, data io.WriterTo) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = data.WriteTo(f)
	return errors.Join(err, f.Close())
}

// withName replaces the temporary name in an error with the final one.
func withName(name string, err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: path.Op, Path: name, Err: path.Err}
	}
	return err
}

// Commit renames the file to its final name.
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

// Discard removes the file. After Commit it does nothing, so it can be deferred.
func (p *Pending) Discard() {
	if p != nil && p.file != nil {
		_ = os.Remove(p.file.Name()) // ignored: the error that led to Discard is more important
		_ = p.close()
	}
}

func (p *Pending) close() error {
	f := p.file
	p.file = nil
	return f.Close()
}

// fill writes data to a file that others can read. It does not sync the file, because the file can
// be recreated after a crash.
func fill(f *os.File, data io.WriterTo) error {
	if _, err := data.WriteTo(f); err != nil {
		return err
	}
	return f.Chmod(0o644)
}
