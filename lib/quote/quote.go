// Package quote makes text of what comes from outside: names, xattrs, configs, messages of
// registries. A terminal shows it and does not obey it: nothing in it moves the cursor, ends a line
// or turns the direction of writing.
package quote

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Name is a name or value in the midst of other text: as it is, or quoted as in Go if it holds
// anything that is not for reading.
func Name(s string) string {
	if isPlain(s) {
		return s
	}
	return strconv.Quote(s)
}

// Names is a list of names.
func Names(list []string) string {
	var quoted []string
	for _, s := range list {
		quoted = append(quoted, Name(s))
	}
	return strings.Join(quoted, ", ")
}

// Line is one line of output. What is not for reading is escaped in place, as in Go, whatever it
// came from.
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

// JSON is the same JSON text with escapes for what is not for reading, which JSON lets stand in
// strings. White space between tokens stays.
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

// isPlain reports whether all of a text is for reading.
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

// isBad reports whether a decoded character, of n bytes, is none or not for reading.
func isBad(r rune, n int) bool { return r == utf8.RuneError && n <= 1 || !isPlainRune(r) }

func isPlainRune(r rune) bool { return unicode.IsPrint(r) }
