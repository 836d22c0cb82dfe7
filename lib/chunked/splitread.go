package chunked

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"chunkah/format"
	"chunkah/lib/tarsplit"
)

// splitReader compares a tar with tar-split, and the tar's headers with the table of contents.
type splitReader struct {
	z       *zstd.Decoder
	lines   *tarsplit.Reader
	entries map[string]*Entry // entries whose header has not been read yet

	line    tarsplit.Line
	left    int64 // bytes of the line that have not been compared yet
	crc     hash.Hash64
	padding int64 // bytes of padding after the contents of the last header
	at      int64 // offset in the tar
}

func newSplitReader(t *Tables) (*splitReader, error) {
	s := &splitReader{entries: make(map[string]*Entry, len(t.Entries)), crc: crc64.New(crcTable)}
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.Type == typeChunk {
			continue
		}
		if s.entries[e.Name] != nil {
			return nil, fmt.Errorf("entry %q occurs twice", e.Name)
		}
		s.entries[e.Name] = e
	}
	z, in, err := unpack(t.split, t.Positions.split.unpacked)
	if err != nil {
		return nil, fmt.Errorf("reading the tar-split: %w", err)
	}
	s.z, s.lines = z, tarsplit.NewReader(in)
	return s, nil
}

func (s *splitReader) close() { s.z.Close() }

// next reads lines up to and including the next line that contains bytes. At the end it returns
// io.EOF.
func (s *splitReader) next() error {
	for s.left == 0 {
		var err error
		if s.line, err = s.lines.Next(); err == io.EOF {
			return err
		}
		if err != nil {
			return fmt.Errorf("reading the tar-split: %w", err)
		}
		if s.line.Type == tarsplit.File {
			s.left = s.line.Size
			s.crc.Reset()
			continue
		}
		s.left = int64(len(s.line.Payload))
		if err := s.header(); err != nil {
			return err
		}
	}
	return nil
}

// compare compares bytes of the tar with tar-split.
func (s *splitReader) compare(p []byte) error {
	for len(p) > 0 {
		if err := s.next(); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the tar-split ends before the tar")
			}
			return err
		}
		piece := p[:min(int64(len(p)), s.left)]
		if s.line.Type == tarsplit.Segment {
			at := int64(len(s.line.Payload)) - s.left
			if !bytes.Equal(piece, s.line.Payload[at:at+int64(len(piece))]) {
				return fmt.Errorf("the tar-split and the tar differ between bytes %d and %d", s.at, s.at+int64(len(piece)))
			}
		} else {
			s.crc.Write(piece)
		}
		p = p[len(piece):]
		s.at += int64(len(piece))
		if s.left -= int64(len(piece)); s.left == 0 && s.line.Type == tarsplit.File && !bytes.Equal(s.crc.Sum(nil), s.line.Payload) {
			return fmt.Errorf("entry %q: the contents do not match the CRC-64 in the tar-split", s.line.Path())
		}
	}
	return nil
}

// contents checks that the next byte belongs to the named file at the given offset.
func (s *splitReader) contents(name string, offset int64) error {
	if err := s.next(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if s.line.Type != tarsplit.File || s.line.Path() != name || s.line.Size-s.left != offset {
		return fmt.Errorf("expected byte %[2]d of this file at byte %[1]d of the tar", s.at, offset)
	}
	return nil
}

// end checks that nothing follows.
func (s *splitReader) end() error {
	if err := s.next(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("the tar ends before the tar-split")
		}
		return err
	}
	for name := range s.entries {
		return fmt.Errorf("entry %q is not in the tar", name)
	}
	return nil
}

// header compares the tar header in a segment with the table of contents. In the segment, the
// header follows the padding after the previous contents. The last segment contains no header.
func (s *splitReader) header() error {
	b := s.line.Payload
	if s.padding > int64(len(b)) {
		return fmt.Errorf("the tar-split has %d bytes, expected %d bytes of padding", len(b), s.padding)
	}
	h, err := tar.NewReader(bytes.NewReader(b[s.padding:])).Next()
	s.padding = 0
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading a header in the tar-split: %w", err)
	}
	e := s.entries[h.Name]
	if e == nil {
		return fmt.Errorf("entry %q is not in the table of contents", h.Name)
	}
	delete(s.entries, h.Name)
	if field := e.differs(h); field != "" {
		return fmt.Errorf("entry %q: the table of contents and the tar differ in the %s", h.Name, field)
	}
	if h.Typeflag == tar.TypeReg {
		s.padding = -h.Size & 511
	}
	return nil
}

// differs returns the name of a field that differs from the header, or "" if all are equal.
func (e *Entry) differs(h *tar.Header) string {
	xattrs := map[string]string{}
	for key, value := range h.PAXRecords {
		if name, is := strings.CutPrefix(key, format.XattrKey); is {
			xattrs[name] = base64.StdEncoding.EncodeToString([]byte(value))
		}
	}
	switch {
	case e.Type != typeOf(h.Typeflag):
		return "type"
	case e.Linkname != h.Linkname:
		return "link target"
	case e.Mode != h.Mode:
		return "mode"
	case e.Size != h.Size:
		return "size"
	case e.UID != int64(h.Uid) || e.GID != int64(h.Gid):
		return "owner"
	case !sameTime(e.ModTime, h.ModTime):
		return "time"
	case e.Devmajor != h.Devmajor || e.Devminor != h.Devminor:
		return "device number"
	case !maps.Equal(e.Xattrs, xattrs):
		return "extended attribute"
	}
	return ""
}

// sameTime compares times in the same way as clients, which treat a missing time as 1970.
func sameTime(a *time.Time, b time.Time) bool {
	if a == nil || a.IsZero() {
		return b.IsZero() || b.Unix() == 0
	}
	return a.Equal(b) || b.IsZero() && a.Unix() == 0
}
