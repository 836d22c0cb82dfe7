package places

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
)

// Below returns the range of the records below a physical directory, which needs
// no record of its own.
func Below(t *assign.Tree, dir string) (from, to int) {
	from = sort.Search(len(t.Files), func(i int) bool { return format.ComparePaths(t.Files[i].Path, dir) > 0 })
	to = from + sort.Search(len(t.Files)-from, func(i int) bool { return !Holds(dir, t.Files[from+i].Path) })
	return from, to
}

// Holds reports whether path lies below dir.
func Holds(dir, path string) bool {
	if dir == "/" {
		return len(path) > 1
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// holds reports whether the next record lies below record i.
func holds(t *assign.Tree, i int) bool {
	return i+1 < len(t.Files) && Holds(t.Files[i].Path, t.Files[i+1].Path)
}

// Join puts a name below a directory.
func Join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// Base returns the last name of a path.
func Base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// ReadRecord reads the contents of a regular file's record, most bytes at most. A
// file that is not there, or not regular, or larger, is unusable, which is an
// error of this type; other errors are those of reading.
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

// OpenRecord opens a regular file's record, with errors as ReadRecord.
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

// Unusable says that a file cannot be what it should be. It is a reason for a
// warning where others are enough to go on with.
type Unusable struct{ err error }

// Error implements error.
func (e *Unusable) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *Unusable) Unwrap() error { return e.err }

// IsUnusable reports whether err is about a file that is not what it should be.
func IsUnusable(err error) bool {
	var u *Unusable
	return errors.As(err, &u)
}
