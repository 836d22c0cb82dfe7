package quote

import (
	"fmt"
	"regexp"
	"strings"
)

// plainWord matches words without special meaning in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// Shell returns a command line for sh. It quotes words if necessary: in single quotes or, if a word
// contains control characters, as a printf command.
func Shell(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

func shellWord(word string) string {
	switch {
	case plainWord.MatchString(word):
		return word
	case isPlain(word):
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	body, newlines := strings.TrimRight(word, "\n"), ""
	if n := len(word) - len(body); n > 0 { // a shell removes trailing newlines
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
