// Package filelist keeps file records in little memory.
//
// A file record takes 160 bytes plus its strings. In a List, the same record takes about 60 bytes,
// half of them for the digest. A List can only be read from its start. Builds with patch layers use
// lists for the files of the previous image, because they also keep the records of all new files in
// memory.
package filelist

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"

	"chunkah/format"
)

// List is a list of file records. It contains the fields that a layer can contain: all except
// Stamp, Components and Implied. The zero value is an empty list. Copies of a list can be read, but
// only one copy can be appended to.
type List struct {
	data  []byte
	n     int
	path  string // of the last record
	mtime int64  // of the last record
}

// The first byte of a record contains its type and these flags.
const (
	hasDigest  = 0x80
	hasDetails = 0x40 // any of the fields that few files have
	typeMask   = 0x3f
)

// Of returns a list of files.
func Of(files ...*format.File) (l List) {
	l.Append(files...)
	return l
}

// Len returns the number of records.
func (l *List) Len() int { return l.n }

// Append appends copies of records.
func (l *List) Append(files ...*format.File) {
	for _, f := range files {
		l.append(f)
	}
}

func (l *List) append(f *format.File) {
	b := l.data
	first := byte(f.Type)
	if f.Digest.Known() {
		first |= hasDigest
	}
	details := f.Target != "" || f.Hardlink != 0 || f.MTimeNsec != 0 || f.DevMajor != 0 || f.DevMinor != 0 || len(f.Xattrs) > 0
	if details {
		first |= hasDetails
	}
	b = append(b, first)
	// Neighbours mostly have the same directory and often the same time.
	shared := sharedPrefix(l.path, f.Path)
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendText(b, f.Path[shared:])
	b = binary.AppendVarint(b, f.MTime-l.mtime)
	b = binary.AppendVarint(b, f.Size)
	for _, n := range []uint64{uint64(f.Mode), uint64(f.UID), uint64(f.GID)} {
		b = binary.AppendUvarint(b, n)
	}
	if f.Digest.Known() {
		sum := f.Digest.Sum()
		b = append(b, sum[:]...)
	}
	if details {
		b = appendDetails(b, f)
	}
	l.data, l.n, l.path, l.mtime = b, l.n+1, f.Path, f.MTime
}

func appendDetails(b []byte, f *format.File) []byte {
	b = appendText(b, f.Target)
	b = binary.AppendVarint(b, f.Hardlink)
	for _, n := range []uint64{uint64(f.MTimeNsec), uint64(f.DevMajor), uint64(f.DevMinor), uint64(len(f.Xattrs))} {
		b = binary.AppendUvarint(b, n)
	}
	for _, x := range f.Xattrs {
		b = appendText(b, x.Name)
		b = appendText(b, x.Value)
	}
	return b
}

// appendText appends the length and the bytes of a text.
func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func sharedPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// All yields the records. A record is valid until the next one.
func (l *List) All() iter.Seq[*format.File] {
	return func(yield func(*format.File) bool) {
		r := l.Reader()
		for f := r.Next(); f != nil && yield(f); f = r.Next() {
		}
	}
}

// Copies yields copies of the records, which the caller can keep.
func (l *List) Copies() iter.Seq[*format.File] {
	return func(yield func(*format.File) bool) {
		for f := range l.All() {
			file := *f
			if !yield(&file) {
				return
			}
		}
	}
}

// Reader reads the records of a list one after another.
type Reader struct {
	rest []byte
	path []byte // of the last record
	file format.File
}

// Reader returns a reader for the records in the list at this time.
func (l *List) Reader() *Reader { return &Reader{rest: l.data} }

// Next returns the next record, or nil at the end. The record is valid until the next call. Its
// strings and xattrs stay valid.
func (r *Reader) Next() *format.File {
	if len(r.rest) == 0 {
		return nil
	}
	f := &r.file
	first := r.rest[0]
	r.rest = r.rest[1:]
	r.path = append(r.path[:r.uvarint()], r.text()...)
	*f = format.File{Path: string(r.path), Type: format.Type(first & typeMask), MTime: f.MTime + r.varint(), Size: r.varint()}
	f.Mode, f.UID, f.GID = uint16(r.uvarint()), uint32(r.uvarint()), uint32(r.uvarint())
	if first&hasDigest != 0 {
		f.Digest = format.NewDigest([sha256.Size]byte(r.bytes(sha256.Size)))
	}
	if first&hasDetails != 0 {
		r.readDetails()
	}
	return f
}

func (r *Reader) readDetails() {
	f := &r.file
	f.Target = string(r.text())
	f.Hardlink = r.varint()
	f.MTimeNsec, f.DevMajor, f.DevMinor = int32(r.uvarint()), uint32(r.uvarint()), uint32(r.uvarint())
	if n := r.uvarint(); n > 0 {
		f.Xattrs = make([]format.Xattr, n)
	}
	for i := range f.Xattrs {
		f.Xattrs[i].Name = string(r.text())
		f.Xattrs[i].Value = append([]byte{}, r.text()...)
	}
}

func (r *Reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.rest = r.rest[size:]
	return n
}

func (r *Reader) varint() int64 {
	n, size := binary.Varint(r.rest)
	r.rest = r.rest[size:]
	return n
}

func (r *Reader) bytes(n uint64) []byte {
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *Reader) text() []byte { return r.bytes(r.uvarint()) }
