package places

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
)

// Single finds the components of files, in any directory, that contain their package's name:
// "go/cmd" in a program, "java/ant" in an archive. Files that contain the same name are one
// component. They are claimed as a fallback, so a package that lists the file takes precedence. The
// result is nil if the tree contains no such files.
type Single struct {
	Repo string
	// Is reports whether a regular file is selected. It can use only the file's record, not the
	// contents.
	Is func(f *format.File) bool
	// Packages returns the packages in a file, if any, and the release time of the first of them,
	// or the zero time if it is unknown. The component is named after the first package. A missing
	// file reads like an empty file. The size is in bytes.
	Packages func(f *format.File, r io.ReaderAt, size int64) (list []assign.Package, released time.Time)
	// MaxRead is the largest number of bytes that Packages can read from a file.
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
			packages, released, err := s.read(t, i)
			if err != nil {
				return nil, err
			}
			for n, about := range packages {
				p := c.AddTo(c.Component("/", packages[0].Name), about.Name)
				about.Name, about.Component = p.Name, p.Component
				*p = about
				c.Claim(p, i)
				if n == 0 {
					c.Released(p, i, released)
				}
			}
		}
		return c.Result(), nil
	}}
}

// next returns the next selected record from i on. All hard links to an inode are treated as one
// file.
func (s Single) next(t *assign.Tree, i int) int {
	for ; i < len(t.Files); i++ {
		f := t.Files[i]
		if f.Type == format.TypeFile && !t.Claimed(i) && t.Links(i)[0] == i && s.Is(f) {
			break
		}
	}
	return i
}

// read returns the packages in record i, and the release time of the first.
func (s Single) read(t *assign.Tree, i int) (list []assign.Package, released time.Time, err error) {
	f, fault, err := openRecord(t, i)
	if err != nil {
		return nil, released, err
	}
	if fault != nil {
		list, released = s.Packages(t.Files[i], bytes.NewReader(nil), 0)
		return list, released, nil
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, released, err
	}
	r := &Bounded{R: f, Left: s.MaxRead}
	list, released = s.Packages(t.Files[i], r, st.Size)
	return list, released, r.Err
}

var errBound = errors.New("read enough")

// Bounded reads at most Left bytes from a file.
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
