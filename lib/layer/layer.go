// Package layer writes the tar of a layer: file records and contents in, bytes out that depend on
// nothing else.
//
// Entries are ustar headers with a pax header in front where ustar cannot hold a value
// (POSIX.1-2017, pax). Names are "usr/bin/x", directories "usr/bin/", the root "./". There are no
// user names, no times but the mtime in whole seconds, and two blocks of zeros at the end.
package layer

import (
	"context"
	"fmt"
	"io"

	"chunkah/format"
)

// endSize is the size of the two blocks of zeros that end a tar.
const endSize = 2 * blockSize

// MaxBytes bounds the contents of all files of an image, in bytes: more than any disk holds, and
// little enough to be counted up.
const MaxBytes = 1 << 55

// Content gives the bytes of regular files.
type Content interface {
	// WriteFile writes the whole content of a record to w and returns its size, which has to be the
	// record's. It ends soon after ctx is done.
	WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error)
}

// Size returns the size of the tar of a layer, in bytes, if all sizes are known.
func Size(files []*format.File) int64 {
	n := int64(endSize)
	first := firsts{}
	for _, f := range files {
		e := newEntry(f, first.of(f))
		n += headerSize(&e) + contentSize(&e)
	}
	return n
}

// Write writes the tar of a layer's records, which are in order.
func Write(ctx context.Context, w io.Writer, files []*format.File, content Content) error {
	var enc encoder
	first := firsts{}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := Check(f); err != nil {
			return err
		}
		e := newEntry(f, first.of(f))
		if _, err := w.Write(enc.header(&e)); err != nil {
			return err
		}
		if e.flag != flagFile || f.Type == format.TypeWhiteout {
			continue
		}
		if err := writeContent(ctx, w, &e, content); err != nil {
			return err
		}
	}
	_, err := w.Write(zeros[:])
	return err
}

// writeContent writes the bytes of a file, up to the next whole block.
func writeContent(ctx context.Context, w io.Writer, e *entry, content Content) error {
	n, err := content.WriteFile(ctx, w, e.file)
	if err != nil {
		return err
	}
	if n != e.size {
		return fmt.Errorf("reading %q: got %d bytes where %d were announced", e.file.Path, n, e.size)
	}
	if pad := padding(n); pad > 0 {
		_, err = w.Write(zeros[:pad])
	}
	return err
}

// zeros pads contents and ends a tar.
var zeros [endSize]byte

// firsts remembers the first name of each hard-link group.
type firsts map[int64]string

// of returns the path that f is a link to, empty where f is the first of its group or in none.
func (s firsts) of(f *format.File) string {
	if f.Hardlink == 0 {
		return ""
	}
	path, seen := s[f.Hardlink]
	if !seen {
		s[f.Hardlink] = f.Path
	}
	return path
}
