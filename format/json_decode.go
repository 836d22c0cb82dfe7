package format

import (
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// errShort says that the buffer ends inside a value.
var errShort = errors.New("the text ends inside a value")

// jsonDecoder reads one JSON value (RFC 8259) from a buffer. It is strict where
// JSON is: no comments, no trailing commas, no bad UTF-8, no half of a surrogate
// pair.
type jsonDecoder struct {
	buf []byte
	pos int
	// first is set where the next key or item is the first of its map or list.
	first bool
	err   error
	spare []byte // holds a text with escapes, or decoded base64
}

func (d *jsonDecoder) reset(buf []byte) {
	d.buf, d.pos, d.first, d.err = buf, 0, false, nil
}

func (d *jsonDecoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *jsonDecoder) failed() error { return d.err }

// peek skips white space and returns the next byte, 0 at the end or after an
// error.
func (d *jsonDecoder) peek() byte {
	if d.err != nil {
		return 0
	}
	for d.pos < len(d.buf) {
		switch c := d.buf[d.pos]; c {
		case ' ', '\t', '\n', '\r':
			d.pos++
		case 0:
			d.fail(syntaxf("unexpected NUL byte"))
			return 0
		default:
			return c
		}
	}
	d.fail(errShort)
	return 0
}

func (d *jsonDecoder) expect(want byte, what string) bool {
	c := d.peek()
	if d.err != nil {
		return false
	}
	if c != want {
		d.fail(syntaxOrValue(c, what))
		return false
	}
	d.pos++
	return true
}

// syntaxOrValue tells a value of the wrong kind from what is no value at all.
func syntaxOrValue(c byte, want string) error {
	switch c {
	case '{', '[', '"', '-', 't', 'f', 'n', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return valuef("%s expected, found one that starts with %q", want, c)
	}
	return syntaxf("%s expected, found %q", want, c)
}

func (d *jsonDecoder) beginMap() {
	d.expect('{', "an object")
	d.first = true
}

func (d *jsonDecoder) beginList() {
	d.expect('[', "an array")
	d.first = true
}

// next steps over the comma in front of an element, or over the end.
func (d *jsonDecoder) next(end byte) bool {
	first := d.first
	d.first = false
	c := d.peek()
	switch {
	case d.err != nil:
		return false
	case c == end:
		d.pos++
		return false
	case first:
		return true
	case c != ',':
		d.fail(syntaxf("',' or %q expected, found %q", end, c))
		return false
	}
	d.pos++
	return true
}

func (d *jsonDecoder) nextItem() bool { return d.next(']') }

func (d *jsonDecoder) nextKey() ([]byte, bool) {
	if !d.next('}') {
		return nil, false
	}
	if c := d.peek(); d.err == nil && c != '"' {
		d.fail(syntaxf("a key expected, found %q", c))
		return nil, false
	}
	key := d.str(MaxText)
	if c := d.peek(); d.err == nil && c != ':' {
		d.fail(syntaxf("':' expected, found %q", c))
	}
	d.pos++
	return key, d.err == nil
}

func (d *jsonDecoder) null() bool {
	if d.peek() != 'n' {
		return false
	}
	return d.word("null")
}

func (d *jsonDecoder) boolean() bool {
	switch c := d.peek(); {
	case d.err != nil:
		return false
	case c == 't':
		return d.word("true")
	case c == 'f':
		d.word("false")
		return false
	default:
		d.fail(syntaxOrValue(c, "true or false"))
		return false
	}
}

func (d *jsonDecoder) word(w string) bool {
	rest := d.buf[d.pos:]
	switch {
	case len(rest) >= len(w) && string(rest[:len(w)]) == w:
		d.pos += len(w)
		return true
	case len(rest) < len(w) && w[:len(rest)] == string(rest):
		d.fail(errShort)
	default:
		d.fail(syntaxf("%s expected", w))
	}
	return false
}

func (d *jsonDecoder) text(most int) string { return string(d.str(most)) }

func (d *jsonDecoder) bytes(most int) []byte {
	s := d.str(base64.StdEncoding.EncodedLen(most))
	if d.err != nil {
		return nil
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := base64.StdEncoding.Strict().Decode(b, s)
	if err != nil {
		d.fail(valuef("%q is not base64", clip(string(s))))
		return nil
	}
	return b[:n]
}

// str reads a string; the bytes are good until the next call.
func (d *jsonDecoder) str(most int) []byte {
	if !d.expect('"', "a string") {
		return nil
	}
	start, ascii := d.pos, true
	for i := start; i < len(d.buf); i++ {
		switch c := d.buf[i]; {
		case c == '"':
			d.pos = i + 1
			return d.checked(d.buf[start:i], ascii, most)
		case c == '\\':
			return d.escaped(start, i, most)
		case c < ' ':
			d.fail(syntaxf("control byte %#02x in a string", c))
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	d.fail(errShort)
	return nil
}

func (d *jsonDecoder) checked(s []byte, ascii bool, most int) []byte {
	if len(s) > most {
		d.fail(limitf("a text is longer than %d bytes", most))
		return nil
	}
	if !ascii && !utf8.Valid(s) {
		d.fail(syntaxf("string %q is not UTF-8", clip(string(s))))
		return nil
	}
	return s
}

// escaped reads the string that starts at start and has its first escape at i.
func (d *jsonDecoder) escaped(start, i, most int) []byte {
	s := append(d.spare[:0], d.buf[start:i]...)
	for i < len(d.buf) {
		c := d.buf[i]
		switch {
		case c == '"':
			d.pos, d.spare = i+1, s
			return d.checked(s, false, most)
		case c < ' ':
			d.fail(syntaxf("control byte %#02x in a string", c))
			return nil
		case c != '\\':
			s = append(s, c)
			i++
			continue
		}
		r, n := d.escape(d.buf[i:])
		if n == 0 {
			return nil
		}
		s = utf8.AppendRune(s, r)
		i += n
	}
	d.fail(errShort)
	return nil
}

// escape reads one escape and returns its length, 0 after an error.
func (d *jsonDecoder) escape(b []byte) (rune, int) {
	if len(b) < 2 {
		d.fail(errShort)
		return 0, 0
	}
	switch c := b[1]; c {
	case '"', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return d.unicodeEscape(b)
	default:
		d.fail(syntaxf("escape \\%c is unknown", c))
		return 0, 0
	}
}

func (d *jsonDecoder) unicodeEscape(b []byte) (rune, int) {
	r := d.hex4(b)
	if r < 0 || !utf16.IsSurrogate(r) {
		return max(r, 0), 6 * count(r >= 0)
	}
	if len(b) >= 8 && (b[6] != '\\' || b[7] != 'u') {
		d.fail(syntaxf("half of a surrogate pair: use path_raw or target_raw for names that are not UTF-8"))
		return 0, 0
	}
	if len(b) < 12 {
		d.fail(errShort)
		return 0, 0
	}
	pair := utf16.DecodeRune(r, d.hex4(b[6:]))
	if pair == utf8.RuneError {
		d.fail(syntaxf("half of a surrogate pair: use path_raw or target_raw for names that are not UTF-8"))
		return 0, 0
	}
	return pair, 12
}

// hex4 reads the four digits of a \u escape, -1 after an error.
func (d *jsonDecoder) hex4(b []byte) rune {
	if len(b) < 6 {
		d.fail(errShort)
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		d.fail(syntaxf("escape %q is not \\u and four hex digits", b[:6]))
		return -1
	}
	return rune(n)
}
