package format

import (
	"strings"
	"unicode/utf8"
)

// Text shows bytes as text: every byte that is not part of valid UTF-8 becomes
// U+FFFD. Text that is valid comes back as it is.
func Text(bytes string) string {
	if utf8.ValidString(bytes) {
		return bytes
	}
	var b strings.Builder
	b.Grow(len(bytes) + 8)
	for _, r := range bytes {
		b.WriteRune(r) // ranging gives RuneError for each bad byte
	}
	return b.String()
}

// TextRaw shows bytes as a JSON object of the stream does: as text, and where that is
// not the same, raw as they are.
func TextRaw(bytes string) (text string, raw []byte) {
	if text = Text(bytes); text != bytes {
		raw = []byte(bytes)
	}
	return text, raw
}
