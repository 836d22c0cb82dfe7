package chunked

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
)

// The types of a line of tar-split (github.com/vbatts/tar-split, tar/storage).
const (
	lineFile    = 1 // an entry, with the size and the CRC-64 of its contents
	lineSegment = 2 // bytes of the tar: padding and headers
)

// splitWriter writes tar-split.
type splitWriter struct {
	w     io.Writer
	lines int
	buf   []byte
	err   error // the first one
}

// segment writes a line for bytes of the tar.
func (s *splitWriter) segment(b []byte) {
	if len(b) == 0 {
		return
	}
	s.buf = append(s.buf[:0], `{"type":2,"payload":"`...)
	s.buf = base64.StdEncoding.AppendEncode(s.buf, b)
	s.buf = append(s.buf, '"')
	s.line()
}

// file writes a line for an entry. An entry without contents has no sum.
func (s *splitWriter) file(name string, size int64, sum []byte) {
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

func (s *splitWriter) line() {
	s.buf = append(s.buf, `,"position":`...)
	s.buf = strconv.AppendInt(s.buf, int64(s.lines), 10)
	s.buf = append(s.buf, "}\n"...)
	s.lines++
	if s.err == nil {
		_, s.err = s.w.Write(s.buf)
	}
}
