package format

import (
	"bytes"
	"encoding/base64"
)

// jsonDecoder reads one JSON value (RFC 8259) from a buffer. It is strict: no comments, no trailing
// commas, no invalid UTF-8, no unpaired surrogates.
type jsonDecoder struct {
	buf []byte
	pos int
	// first is set if the next key or item is the first of its map or list.
	first bool
	err   error
	spare []byte // for a text with escapes, or decoded base64
}

func (d *jsonDecoder) reset(buf []byte) {
	d.buf, d.pos, d.first, d.err = buf, 0, false, nil
}

func (d *jsonDecoder) fail(err error) {
	if d.err == nil && err != nil {
		d.err = err
	}
}

func (d *jsonDecoder) failed() error { return d.err }

func (d *jsonDecoder) end() int            { return d.pos }
func (d *jsonDecoder) newScanner() scanner { return &jsonScanner{} }

// between skips the white space between records.
func (d *jsonDecoder) between(b []byte) []byte {
	for i, c := range b {
		if !isSpace(c) {
			return b[i:]
		}
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// peek skips white space and returns the next byte, or 0 at the end or after an error.
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

// syntaxOrValue distinguishes a value of the wrong kind from invalid JSON.
func syntaxOrValue(c byte, want string) error {
	switch c {
	case '{', '[', '"', '-', 't', 'f', 'n', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return valuef("expected %s, found a value that starts with %q", want, c)
	}
	return syntaxf("expected %s, found %q", want, c)
}

func (d *jsonDecoder) beginMap() {
	d.expect('{', "an object")
	d.first = true
}

func (d *jsonDecoder) beginList() {
	d.expect('[', "an array")
	d.first = true
}

// next skips the comma before an element, or the closing bracket.
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
		d.fail(syntaxf("expected ',' or %q, found %q", end, c))
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
		d.fail(syntaxf("expected a key, found %q", c))
		return nil, false
	}
	key := d.str(MaxText)
	if c := d.peek(); d.err == nil && c != ':' {
		d.fail(syntaxf("expected ':', found %q", c))
	}
	d.pos++
	return key, d.err == nil
}

func (d *jsonDecoder) present() bool {
	if d.peek() == 'n' {
		d.word("null")
		return false
	}
	return d.err == nil
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
		d.fail(syntaxf("expected %s", w))
	}
	return false
}

func (d *jsonDecoder) text(most int) []byte { return d.str(most) }

func (d *jsonDecoder) bytes(most int) []byte {
	s := d.str(base64.StdEncoding.EncodedLen(most))
	if d.err != nil {
		return nil
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := base64.StdEncoding.Strict().Decode(b, s)
	if err != nil || bytes.ContainsAny(s, "\r\n") { // the library ignores newlines
		d.fail(valuef("%q is not base64", clip(string(s))))
		return nil
	}
	return b[:n]
}
