package format

import (
	"encoding/base64"
	"strconv"
)

// jsonEncoder appends JSON to a buffer: no spaces, only the escapes that JSON
// demands (RFC 8259, section 7), short ones where there are any.
type jsonEncoder struct {
	buf []byte
	// first is set where the next key or item is the first of its map or list.
	first bool
}

func (e *jsonEncoder) beginMap(int) {
	e.buf = append(e.buf, '{')
	e.first = true
}

func (e *jsonEncoder) key(name string) {
	e.item()
	e.text(name)
	e.buf = append(e.buf, ':')
}

func (e *jsonEncoder) endMap() {
	e.buf = append(e.buf, '}')
	e.first = false
}

func (e *jsonEncoder) beginList(int) {
	e.buf = append(e.buf, '[')
	e.first = true
}

func (e *jsonEncoder) item() {
	if !e.first {
		e.buf = append(e.buf, ',')
	}
	e.first = false
}

func (e *jsonEncoder) endList() {
	e.buf = append(e.buf, ']')
	e.first = false
}

func (e *jsonEncoder) text(s string) {
	e.buf = append(e.buf, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		e.buf = append(e.buf, s[start:i]...)
		e.buf = appendEscape(e.buf, c)
		start = i + 1
	}
	e.buf = append(e.buf, s[start:]...)
	e.buf = append(e.buf, '"')
}

func appendEscape(buf []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(buf, '\\', c)
	case '\b':
		return append(buf, '\\', 'b')
	case '\f':
		return append(buf, '\\', 'f')
	case '\n':
		return append(buf, '\\', 'n')
	case '\r':
		return append(buf, '\\', 'r')
	case '\t':
		return append(buf, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

func (e *jsonEncoder) bytes(b []byte) {
	e.buf = append(e.buf, '"')
	e.buf = base64.StdEncoding.AppendEncode(e.buf, b)
	e.buf = append(e.buf, '"')
}

func (e *jsonEncoder) integer(n int64) { e.buf = strconv.AppendInt(e.buf, n, 10) }

func (e *jsonEncoder) boolean(b bool) { e.buf = strconv.AppendBool(e.buf, b) }
