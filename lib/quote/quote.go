// Package quote makes untrusted text safe to print: names, xattrs, configs, messages from
// registries. It escapes everything that would move a terminal's cursor, end a line or change the
// writing direction.
package quote

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Name returns a name or value for use inside other text. If it contains unprintable characters, it
// is quoted as in Go.
func Name(s string) string {
	if isPlain(s) {
		return s
	}
	return strconv.Quote(s)
}

// Names formats a list of names.
func Names(list []string) string {
	var quoted []string
	for _, s := range list {
		quoted = append(quoted, Name(s))
	}
	return strings.Join(quoted, ", ")
}

// Line returns a line of output with unprintable characters escaped as in Go.
func Line(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if isBad(r, n) {
			quoted := strconv.Quote(s[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// JSON returns an equivalent JSON text with escapes for unprintable characters, which JSON allows
// in strings. White space between tokens stays.
func JSON(text []byte) []byte {
	s := string(text)
	if isPlain(s) {
		return text
	}
	var b []byte
	for _, r := range s {
		switch {
		case r < ' ' || isPlainRune(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

// isPlain reports whether all characters of a string are printable.
func isPlain(s string) bool {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if isBad(r, n) {
			return false
		}
		i += n
	}
	return true
}

// isBad reports whether a decoded character of n bytes is invalid or unprintable.
func isBad(r rune, n int) bool { return r == utf8.RuneError && n <= 1 || !isPlainRune(r) }

func isPlainRune(r rune) bool { return unicode.IsPrint(r) }
