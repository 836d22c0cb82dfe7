package places

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
)

// Outermost returns the physical directories in a map that are not below another directory in the
// map, sorted by path.
func Outermost(dirs map[string]int) (list []string) {
	for dir := range dirs {
		above := dir
		for found := false; !found; _, found = dirs[above] {
			if above == "/" {
				list = append(list, dir)
				break
			}
			above = format.Parent(above)
		}
	}
	slices.SortFunc(list, format.ComparePaths)
	return list
}

// ReadRecord reads the contents of a regular file's record, up to most bytes. For a file that is
// missing, not regular, or larger, the error has the type Unusable. Other errors are read errors.
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

// Parse reads a record and parses its contents. fault reports a file that is not as expected. It is
// ReadRecord's Unusable, or parse's error with the file's path.
func Parse[T any](t *assign.Tree, i int, most int64, parse func(raw []byte) (T, error)) (v T, fault, err error) {
	raw, err := ReadRecord(t, i, most)
	if IsUnusable(err) {
		return v, err, nil
	}
	if err != nil {
		return v, nil, err
	}
	if v, fault = parse(raw); fault != nil {
		fault = fmt.Errorf("reading %q: %w", t.Files[i].Path, fault)
	}
	return v, fault, nil
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

// Unusable is the error of a file that is not as expected. A repo can warn about the file and
// continue without it.
type Unusable struct{ err error }

// NewUnusable makes an Unusable from an error in a file's contents.
func NewUnusable(err error) error { return &Unusable{err} }

// Error implements error.
func (e *Unusable) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *Unusable) Unwrap() error { return e.err }

// IsUnusable reports whether err is about a file that is not as expected.
func IsUnusable(err error) bool {
	var u *Unusable
	return errors.As(err, &u)
}
