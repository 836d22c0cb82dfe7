package quote

import (
	"fmt"
	"regexp"
	"strings"
)

// plainWord matches what means itself in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// Shell is a word for sh: as it is, in single quotes, or, if a terminal would obey it, as what
// printf makes of its bytes.
func Shell(word string) string {
	switch {
	case plainWord.MatchString(word):
		return word
	case isPlain(word):
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	body, newlines := strings.TrimRight(word, "\n"), ""
	if n := len(word) - len(body); n > 0 { // which a shell cuts off
		newlines = "'" + word[len(body):] + "'"
	}
	var b strings.Builder
	for _, c := range []byte(body) {
		if c != '%' && plainWord.Match([]byte{c}) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return `"$(printf '` + b.String() + `')"` + newlines
}
