package format

import (
	"bufio"
	"io"
)

// recordReader hands out bytes and stops at MaxRecord for one record.
type recordReader struct {
	r    *bufio.Reader
	used int   // bytes of the current record
	err  error // the first error of the reader below, other than io.EOF
	long []byte
}

var errRecordTooLong = limitf("record has more than %d bytes", MaxRecord)

func (r *recordReader) Read(p []byte) (int, error) {
	if r.used+len(p) > MaxRecord {
		return 0, errRecordTooLong
	}
	n, err := r.r.Read(p)
	r.used += n
	return n, r.keep(err)
}

func (r *recordReader) ReadByte() (byte, error) {
	if r.used >= MaxRecord {
		return 0, errRecordTooLong
	}
	c, err := r.r.ReadByte()
	if err == nil {
		r.used++
	}
	return c, r.keep(err)
}

func (r *recordReader) UnreadByte() error {
	r.used--
	return r.r.UnreadByte()
}

func (r *recordReader) keep(err error) error {
	if err != nil && err != io.EOF && r.err == nil {
		r.err = err
	}
	return err
}

// readLine returns the next line, with its newline where it has one; errShort at
// the end of the input. The bytes are good until the next call.
func (r *recordReader) readLine() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	if err == nil {
		return line, nil
	}
	r.long = append(r.long[:0], line...)
	for err == bufio.ErrBufferFull {
		if len(r.long) > MaxRecord {
			return nil, errRecordTooLong
		}
		line, err = r.r.ReadSlice('\n')
		r.long = append(r.long, line...)
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(r.long) == 0 {
		return nil, errShort
	}
	return r.long, nil
}

// gather returns start and the lines after it up to the one that closes the
// value that start opens: as far as braces and quotes can tell.
func (r *recordReader) gather(start []byte) ([]byte, error) {
	whole := append([]byte(nil), start...)
	var scan valueScanner
	for !scan.closed(whole) {
		line, err := r.readLine()
		if err != nil {
			return nil, err
		}
		if len(whole)+len(line) > MaxRecord {
			return nil, errRecordTooLong
		}
		whole = append(whole, line...)
	}
	return whole, nil
}

// valueScanner follows the depth of a JSON value over a growing buffer.
type valueScanner struct {
	pos    int
	depth  int
	quoted bool
	escape bool
}

// closed reports whether the value that buf starts with ends in it.
func (s *valueScanner) closed(buf []byte) bool {
	for ; s.pos < len(buf); s.pos++ {
		c := buf[s.pos]
		switch {
		case s.escape:
			s.escape = false
		case s.quoted:
			s.escape = c == '\\'
			s.quoted = c != '"'
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			s.depth++
		case c == '}' || c == ']':
			if s.depth--; s.depth <= 0 {
				return true
			}
		}
	}
	return false
}
