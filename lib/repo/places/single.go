package places

import (
	"bytes"
	"context"
	"errors"
	"io"

	"chunkah/format"
	"chunkah/lib/assign"
)

// Single finds the components of files that contain their package's name, in any directory:
// "go/cmd" of programs, "java/ant" of archives. Files with the same name are one component. They
// are claimed as a fallback: a package that lists the file takes precedence. The result is nil if
// there are no such files.
type Single struct {
	Repo string
	// Is selects regular files by their records.
	Is func(f *format.File) bool
	// Name returns the name of a file's package, "" for none. A missing file reads as an empty one.
	// The size is in bytes.
	Name func(f *format.File, r io.ReaderAt, size int64) string
	// MaxRead bounds how many bytes Name can read of a file.
	MaxRead int64
}

// Load finds the files in a tree.
func (s Single) Load(t *assign.Tree) *assign.Result {
	if s.next(t, 0) == len(t.Files) {
		return nil
	}
	return &assign.Result{Fallback: func(ctx context.Context) (*assign.Result, error) {
		c := New(s.Repo, t)
		for i := s.next(t, 0); i < len(t.Files); i = s.next(t, i+1) {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			name, err := s.read(t, i)
			if err != nil {
				return nil, err
			}
			if name != "" {
				c.Claim(c.AddTo(c.Component("/", name), name), i)
			}
		}
		return c.Result(), nil
	}}
}

// next returns the next selected record from i on. All names of an inode are one file.
func (s Single) next(t *assign.Tree, i int) int {
	for ; i < len(t.Files); i++ {
		f := t.Files[i]
		if f.Type == format.TypeFile && !t.Claimed(i) && t.Links(i)[0] == i && s.Is(f) {
			break
		}
	}
	return i
}

// read returns the name of the package of record i.
func (s Single) read(t *assign.Tree, i int) (string, error) {
	f, err := OpenRecord(t, i)
	if IsUnusable(err) {
		return s.Name(t.Files[i], bytes.NewReader(nil), 0), nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	r := &Bounded{R: f, Left: s.MaxRead}
	name := s.Name(t.Files[i], r, st.Size)
	return name, r.Err
}

var errBound = errors.New("read enough")

// Bounded reads a file up to a number of bytes.
type Bounded struct {
	R    io.ReaderAt
	Left int64 // bytes
	Err  error // the first read error
}

// ReadAt implements io.ReaderAt.
func (b *Bounded) ReadAt(p []byte, off int64) (int, error) {
	if b.Left -= int64(len(p)); b.Left < 0 {
		return 0, errBound
	}
	if off < 0 {
		return 0, io.EOF
	}
	n, err := b.R.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) && b.Err == nil {
		b.Err = err
	}
	return n, err
}
