package places

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
)

// ReadRecord reads the contents of a regular file's record, up to most bytes. A missing, special or
// larger file is an error of type Unusable. Other errors are read errors.
func ReadRecord(t *assign.Tree, i int, most int64) ([]byte, error) {
	f, err := OpenRecord(t, i)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = &Unusable{fmt.Errorf("reading %q: is larger than %d bytes", f.Name(), most)}
	}
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// OpenRecord opens a regular file's record, with the same errors as ReadRecord.
func OpenRecord(t *assign.Tree, i int) (*rootfs.File, error) {
	rec := t.Files[i]
	if rec.Type != format.TypeFile {
		return nil, &Unusable{fmt.Errorf("opening %q: %w", rec.Path, rootfs.ErrNotRegular)}
	}
	f, err := t.Root.OpenFile(rec.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, rootfs.ErrNotRegular) {
		err = &Unusable{err}
	}
	return f, err
}

// Unusable is the error of a file that is not as expected. A repo can continue without it, with a
// warning.
type Unusable struct{ err error }

// Error implements error.
func (e *Unusable) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *Unusable) Unwrap() error { return e.err }

// IsUnusable reports whether err is about a file that is not as expected.
func IsUnusable(err error) bool {
	var u *Unusable
	return errors.As(err, &u)
}
