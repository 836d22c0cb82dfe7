package tarsplit

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
)

// Writer writes lines.
type Writer struct {
	w     io.Writer
	lines int
	buf   []byte
	err   error // the first error
}

// NewWriter returns a writer of lines to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Err returns the first error.
func (s *Writer) Err() error { return s.err }

// Segment writes a line for bytes in the tar.
func (s *Writer) Segment(b []byte) {
	if len(b) == 0 {
		return
	}
	s.buf = append(s.buf[:0], `{"type":2,"payload":"`...)
	s.buf = base64.StdEncoding.AppendEncode(s.buf, b)
	s.buf = append(s.buf, '"')
	s.line()
}

// File writes a line for an entry. sum is ignored for an entry without contents.
func (s *Writer) File(name string, size int64, sum []byte) {
	quoted, err := json.Marshal(name)
	if err != nil && s.err == nil {
		s.err = err
	}
	s.buf = append(s.buf[:0], `{"type":1,"name":`...)
	s.buf = append(s.buf, quoted...)
	if size > 0 {
		s.buf = append(s.buf, `,"size":`...)
		s.buf = strconv.AppendInt(s.buf, size, 10)
	}
	s.buf = append(s.buf, `,"payload":`...)
	if size > 0 {
		s.buf = append(s.buf, '"')
		s.buf = base64.StdEncoding.AppendEncode(s.buf, sum)
		s.buf = append(s.buf, '"')
	} else {
		s.buf = append(s.buf, "null"...)
	}
	s.line()
}

func (s *Writer) line() {
	s.buf = append(s.buf, `,"position":`...)
	s.buf = strconv.AppendInt(s.buf, int64(s.lines), 10)
	s.buf = append(s.buf, "}\n"...)
	s.lines++
	if s.err == nil {
		_, s.err = s.w.Write(s.buf)
	}
}
