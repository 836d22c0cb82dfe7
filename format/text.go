package format

import (
	"strings"
	"unicode/utf8"
)

// Text returns bytes as valid UTF-8, with invalid bytes replaced by U+FFFD.
func Text(bytes string) string {
	if utf8.ValidString(bytes) {
		return bytes
	}
	var b strings.Builder
	b.Grow(len(bytes) + 8)
	for _, r := range bytes {
		b.WriteRune(r) // range yields RuneError for each invalid byte
	}
	return b.String()
}

// TextRaw returns bytes in the form in which a JSON object in the stream contains them: as text,
// and also raw if the text differs.
func TextRaw(bytes string) (text string, raw []byte) {
	if text = Text(bytes); text != bytes {
		raw = []byte(bytes)
	}
	return text, raw
}
