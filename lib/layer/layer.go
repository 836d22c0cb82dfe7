// Package layer writes the tar of a layer. The bytes depend only on the file records and contents.
//
// Entries are ustar headers, preceded by a pax header if ustar cannot store a value (POSIX.1-2017,
// pax). Names are "usr/bin/x", directories "usr/bin/", the root "./". There are no user names, no
// times except the mtime in whole seconds, and two zero blocks at the end.
package layer

import (
	"context"
	"fmt"
	"io"

	"chunkah/format"
)

// endSize is the size of the two zero blocks at the end of a tar.
const endSize = 2 * blockSize

// MaxBytes bounds the total size of an image's files, in bytes: larger than any disk, and small
// enough to add up without overflow.
const MaxBytes = 1 << 55

// Content provides the contents of regular files.
type Content interface {
	// WriteFile writes the contents of a record to w and returns the size, which must be the
	// record's. It returns soon after ctx is done.
	WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error)
}

// Size returns the size of a layer's tar, in bytes. All file sizes must be known.
func Size(files []*format.File) int64 {
	n := int64(endSize)
	first := firsts{}
	for _, f := range files {
		e := newEntry(f, first.linkTarget(f))
		n += headerSize(&e) + contentSize(&e)
	}
	return n
}

// Write writes the tar of a layer's records, which must be in order.
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
		e := newEntry(f, first.linkTarget(f))
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

// writeContent writes the contents of a file, padded to whole blocks.
func writeContent(ctx context.Context, w io.Writer, e *entry, content Content) error {
	n, err := content.WriteFile(ctx, w, e.file)
	if err != nil {
		return err
	}
	if n != e.size {
		return fmt.Errorf("reading %q: got %d bytes, expected %d", e.file.Path, n, e.size)
	}
	if pad := padding(n); pad > 0 {
		_, err = w.Write(zeros[:pad])
	}
	return err
}

// zeros is used for padding and the end of a tar.
var zeros [endSize]byte

// firsts maps each hard-link group to its first name.
type firsts map[int64]string

// linkTarget returns the path that f is a hard link to, or "" if f is the first of its group or in
// none.
func (s firsts) linkTarget(f *format.File) string {
	if f.Hardlink == 0 {
		return ""
	}
	path, seen := s[f.Hardlink]
	if !seen {
		s[f.Hardlink] = f.Path
	}
	return path
}
