package format

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// jsonEncoder appends JSON to a buffer, without spaces. It escapes the characters for which JSON
// requires it (RFC 8259, section 7) and those that isControl reports, using the short form where
// JSON defines one.
type jsonEncoder struct {
	buf []byte
	// first is set if the next key or item is the first of its map or list.
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
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		if r == '"' || r == '\\' || isControl(r) {
			e.buf = append(e.buf, s[start:i]...)
			e.buf = appendEscape(e.buf, r)
			start = i + n
		}
		i += n
	}
	e.buf = append(e.buf, s[start:]...)
	e.buf = append(e.buf, '"')
}

// isControl reports whether terminals or viewers interpret a character instead of showing it:
// control characters, line and paragraph separators, and text direction.
func isControl(r rune) bool {
	switch {
	case r < ' ':
		return true
	case r < 0x7f:
		return false
	}
	return r <= 0x9f || r == 0x61c || r == 0x200e || r == 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

func appendEscape(buf []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(buf, '\\', byte(r))
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
	return append(buf, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

func (e *jsonEncoder) bytes(b []byte) {
	e.buf = append(e.buf, '"')
	e.buf = base64.StdEncoding.AppendEncode(e.buf, b)
	e.buf = append(e.buf, '"')
}

func (e *jsonEncoder) integer(n int64) { e.buf = strconv.AppendInt(e.buf, n, 10) }

func (e *jsonEncoder) boolean(b bool) { e.buf = strconv.AppendBool(e.buf, b) }
