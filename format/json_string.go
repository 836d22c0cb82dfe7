package format

import (
	"unicode/utf16"
	"unicode/utf8"
)

// str reads a string. The bytes are valid until the next call.
func (d *jsonDecoder) str(most int) []byte {
	if !d.expect('"', "a string") {
		return nil
	}
	start, ascii := d.pos, true
	end := min(len(d.buf), start+most+1) // a string that continues beyond end is too long
	for i := start; i < end; i++ {
		switch c := d.buf[i]; {
		case c == '"':
			d.pos = i + 1
			return d.checked(d.buf[start:i], ascii)
		case c == '\\':
			return d.escaped(start, i, most)
		case c < ' ':
			d.fail(syntaxf("control byte %#02x in a string", c))
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	d.tooLongOrShort(end-start, most)
	return nil
}

// tooLongOrShort reports a string that does not end in its first n bytes.
func (d *jsonDecoder) tooLongOrShort(n, most int) {
	if n > most {
		d.fail(limitf("a string is longer than %d bytes", most))
		return
	}
	d.fail(errShort)
}

func (d *jsonDecoder) checked(s []byte, ascii bool) []byte {
	if !ascii && !utf8.Valid(s) {
		d.fail(syntaxf("string %q is not UTF-8", clip(string(s))))
		return nil
	}
	return s
}

// escaped reads the string that starts at start and contains its first escape at i.
func (d *jsonDecoder) escaped(start, i, most int) []byte {
	s := append(d.spare[:0], d.buf[start:i]...)
	for i < len(d.buf) && len(s) <= most {
		c := d.buf[i]
		switch {
		case c == '"':
			d.pos, d.spare = i+1, s
			return d.checked(s, false)
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
	d.tooLongOrShort(len(s), most)
	return nil
}

// escape reads one escape and returns its length, or 0 after an error.
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
		d.fail(syntaxf("unknown escape %q", b[:2]))
		return 0, 0
	}
}

const halfPair = "lone surrogate: use path_raw or target_raw for names that are not UTF-8"

func (d *jsonDecoder) unicodeEscape(b []byte) (rune, int) {
	r := d.hex4(b)
	if r < 0 || !utf16.IsSurrogate(r) {
		return max(r, 0), 6 * count(r >= 0)
	}
	for i, want := range []byte{'\\', 'u'} {
		switch {
		case len(b) <= 6+i:
			d.fail(errShort)
			return 0, 0
		case b[6+i] != want:
			d.fail(syntaxf(halfPair))
			return 0, 0
		}
	}
	low := d.hex4(b[6:])
	if low < 0 {
		return 0, 0
	}
	pair := utf16.DecodeRune(r, low)
	if pair == utf8.RuneError {
		d.fail(syntaxf(halfPair))
		return 0, 0
	}
	return pair, 12
}

// hex4 reads the four digits of a \u escape. It returns -1 after an error.
func (d *jsonDecoder) hex4(b []byte) rune {
	var r rune
	for i := 2; i < 6; i++ {
		if i >= len(b) {
			d.fail(errShort)
			return -1
		}
		digit := hexDigit(b[i])
		if digit < 0 {
			d.fail(syntaxf("escape %q is not \\u and four hex digits", b[:i+1]))
			return -1
		}
		r = r<<4 | digit
	}
	return r
}

func hexDigit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}
