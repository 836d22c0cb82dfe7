// Package layer writes the tar of a layer. The bytes depend only on the file records and contents.
//
// Entries are ustar headers, preceded by a pax header if ustar cannot store a value (POSIX.1-2017,
// pax). Names are "usr/bin/x", directories "usr/bin/", the root "./". There are no user names, and
// no times except the mtime in whole seconds. The tar ends with two zero blocks.
package layer

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"chunkah/format"
)

// endSize is the size of the two zero blocks at the end of a tar.
const endSize = 2 * blockSize

// MaxBytes is the largest total size of an image's files, in bytes. It is larger than any disk, and
// small enough that sums do not overflow.
const MaxBytes = 1 << 55

// Content provides the contents of regular files.
type Content interface {
	// WriteFile writes a record's contents to w and returns the number of bytes, which must equal
	// the size in the record. It returns soon after ctx is done.
	WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error)
}

// Entry describes a tar entry, with fields as in its header.
type Entry struct {
	Name, Link string
	Type       byte // a type flag of archive/tar
	Size       int64
	Xattrs     []format.Xattr
	File       *format.File // for the other metadata
}

// Observer follows the entries of a tar while WriteObserved writes it.
type Observer interface {
	// Entry is called before the header of an entry is written.
	Entry(e Entry) error
	// Contents is called between the header and the contents, unless these are empty.
	Contents() error
	// End is called between the contents and their padding.
	End() error
}

// Size returns the size of a layer's tar, in bytes. All file sizes must be known.
func Size(files []*format.File) int64 { return SizeOf(slices.Values(files)) }

// SizeOf works like Size. A record must be valid until the next one.
func SizeOf(files iter.Seq[*format.File]) int64 {
	n := int64(endSize)
	first := firsts{}
	for f := range files {
		e := newEntry(f, first.linkTarget(f))
		n += headerSize(&e) + contentSize(&e)
	}
	return n
}

// Write writes the tar of a layer's records, which must be in order.
func Write(ctx context.Context, w io.Writer, files []*format.File, content Content) error {
	return WriteOf(ctx, w, slices.Values(files), content)
}

// WriteOf works like Write. A record must be valid until the next one.
func WriteOf(ctx context.Context, w io.Writer, files iter.Seq[*format.File], content Content) error {
	return writeAll(ctx, w, files, content, nobody{})
}

// WriteObserved works like Write and also reports to an observer.
func WriteObserved(ctx context.Context, w io.Writer, files []*format.File, content Content, observer Observer) error {
	return writeAll(ctx, w, slices.Values(files), content, observer)
}

func writeAll(ctx context.Context, w io.Writer, files iter.Seq[*format.File], content Content, observer Observer) error {
	var enc encoder
	first := firsts{}
	for f := range files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := Check(f); err != nil {
			return err
		}
		e := newEntry(f, first.linkTarget(f))
		if err := observer.Entry(Entry{Name: e.name, Link: e.link, Type: e.flag, Size: e.size, Xattrs: e.xattrs, File: f}); err != nil {
			return err
		}
		if _, err := w.Write(enc.header(&e)); err != nil {
			return err
		}
		if e.flag != flagFile || f.Type == format.TypeWhiteout {
			continue
		}
		if err := writeContent(ctx, w, &e, content, observer); err != nil {
			return err
		}
	}
	_, err := w.Write(zeros[:])
	return err
}

// writeContent writes the contents of a file, padded to whole blocks.
func writeContent(ctx context.Context, w io.Writer, e *entry, content Content, observer Observer) error {
	if e.size > 0 {
		if err := observer.Contents(); err != nil {
			return err
		}
	}
	n, err := content.WriteFile(ctx, w, e.file)
	if err != nil {
		return err
	}
	if n != e.size {
		return fmt.Errorf("reading %q: got %d bytes, expected %d", e.file.Path, n, e.size)
	}
	if n > 0 {
		err = observer.End()
	}
	if pad := padding(n); pad > 0 && err == nil {
		_, err = w.Write(zeros[:pad])
	}
	return err
}

// nobody is an Observer that does nothing.
type nobody struct{}

func (nobody) Entry(Entry) error { return nil }
func (nobody) Contents() error   { return nil }
func (nobody) End() error        { return nil }

// zeros is used for padding and the end of a tar.
var zeros [endSize]byte

// firsts maps each hard-link group to its first path.
type firsts map[int64]string

// linkTarget returns the path to which f is a hard link. It returns "" if f is the first path of
// its group or has no group.
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
