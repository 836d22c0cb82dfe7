package quote

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"chunkah/tests/bound"
)

func TestPlain(t *testing.T) {
	for _, s := range []string{"", "/usr/bin/[", "a b", `back\slash "and" quote`, "Ünïcödé/日本語", "xattr/a, b", "\uFFFD"} {
		if Name(s) != s || Line(s) != s || string(JSON([]byte(s))) != s {
			t.Errorf("%q: %q, %q, %q", s, Name(s), Line(s), JSON([]byte(s)))
		}
	}
	if got := string(JSON([]byte("{\n\t\"a\":1}\n"))); got != "{\n\t\"a\":1}\n" {
		t.Errorf("white space: %q", got)
	}
}

func TestControls(t *testing.T) {
	for _, tt := range []struct{ in, line string }{
		{"a\nb", `a\nb`},
		{"a\tb\r", `a\tb\r`},
		{"\x1b[2J\x07", `\x1b[2J\a`},
		{"\x7f\u009b", `\x7f\u009b`},
		{"\xffé\x9b", `\xffé\x9b`},
		{"\u202e\u2066\u2028", `\u202e\u2066\u2028`},
		{"\U000E0041", `\U000e0041`},
	} {
		if got := Line(tt.in); got != tt.line {
			t.Errorf("Line(%q) is %q, want %q", tt.in, got, tt.line)
		}
		if got := Name(tt.in); got != `"`+tt.line+`"` {
			t.Errorf("Name(%q) is %q", tt.in, got)
		}
	}
	if got := Names([]string{"a", "b\n"}); got != `a, "b\n"` {
		t.Errorf("Names: %q", got)
	}
}

// Escaped JSON has the same meaning.
func FuzzQuote(f *testing.F) {
	f.Add("a\u009b\u202e\U000E0041\n\xff")
	f.Fuzz(func(t *testing.T, s string) {
		bound.Input(t, len(s))
		for _, got := range []string{Name(s), Line(s)} {
			if strings.ContainsFunc(got, func(r rune) bool { return !isPlainRune(r) }) || !utf8.ValidString(got) {
				t.Errorf("%q becomes %q", s, got)
			}
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		quoted := JSON(data)
		if json.Unmarshal(data, &before) != nil || json.Unmarshal(quoted, &after) != nil || before != after {
			t.Errorf("%q becomes %q", data, quoted)
		}
		if strings.ContainsFunc(string(quoted), func(r rune) bool { return !isPlainRune(r) }) {
			t.Errorf("%q becomes %q", data, quoted)
		}
	})
}

// A shell reads the original word from the quoted one. Words with control characters are quoted on
// one line.
func TestShell(t *testing.T) {
	for _, word := range []string{"", "plain/a-b", "a b", "it's", "$HOME`id`\\", "a\nb", "\x1b[2J%s\\n'\"", "\xff\u202e", "\n", "a\n\n"} {
		quoted := Shell(word)
		out, err := exec.Command("sh", "-c", "printf %s "+quoted).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q as %q is %q, %v", word, quoted, out, err)
		}
		if trimmed := strings.TrimRight(word, "\n"); trimmed == word && !isPlain(quoted) {
			t.Errorf("%q is %q", word, quoted)
		}
	}
}
