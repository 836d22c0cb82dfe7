package doctor

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"chunkah/tests/bound"
)

// The files that bootc accepts have no fault, and the others have one.
func TestKargs(t *testing.T) {
	for text, want := range map[string]string{
		`kargs = ["quiet"]`: "", "kargs = []\n": "", "# a comment\n\nkargs=[ # more\n \"a=b\",\n 'c',\n]# end\nmatch-architectures = [\"x86_64\"]\r\n": "",
		`"kargs" = ["a\"b\\ \u00e4"]`: "", "kargs = ['''a\nb''', \"\"\"c\\\n  d\"\"\"]": "",
		"": "has no key kargs", "match-architectures = []": "has no key kargs", `kargs = "quiet"`: "is not an array", `kargs = ["a" "b"]`: "no comma",
		`kargs = ["a"`: "no comma or end", `kargs = [a]`: "a string in quotes", `kargs = [1]`: "a string in quotes", "kargs = [\"a\nb\"]": "control character",
		"[kargs]\na = []": "a key is expected", `kargs = ["a"] x`: "text after", "kargs = []\nkargs = []": "twice", "kargs = []\nother = []": "unknown key",
		"kargs": "a key", "kargs []": "no =", `kargs = ["\q"]`: "unknown escape", `kargs = ["\ud800"]`: "unknown character", "kargs = ['\xff']": "not UTF-8", `kargs = ["`: "no end",
	} {
		err := checkKargs(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// FuzzKargs: what was read can be written and read again.
func FuzzKargs(f *testing.F) {
	f.Add("# x\nkargs = [\"a\", 'b', \"\"\"c\\\n d\"\"\"]\nmatch-architectures = [\n]\n")
	f.Add(`"k" = ["\u00e4\U0001f600\t"]`)
	f.Fuzz(func(t *testing.T, text string) {
		bound.Input(t, len(text))
		lists, err := parseLists(text)
		if err != nil {
			return
		}
		var b strings.Builder
		for key, list := range lists {
			fmt.Fprintf(&b, "%s = [", basic(key))
			for _, s := range list {
				b.WriteString(basic(s) + ",")
			}
			b.WriteString("]\n")
		}
		again, err := parseLists(b.String())
		if err != nil || !reflect.DeepEqual(lists, again) {
			t.Errorf("%q: %q, and again %q, %v", text, lists, again, err)
		}
	})
}

// basic writes a string in double quotes.
func basic(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}
