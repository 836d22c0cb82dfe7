package report

import "testing"

// No name can contain markup or end a cell or a line.
func TestMarkdownNames(t *testing.T) {
	for name, want := range map[string]string{
		"rpm/bash":        "rpm/bash",
		"a|b\n| c":        `a\|b\\n\| c`,
		"<img src=x>":     "&#60;img src=x&#62;",
		"`x` _y_ *z* [l]": "\\`x\\` \\_y\\_ \\*z\\* \\[l\\]",
		"&lt;":            "&#38;lt;",
		"\x1b[2J":         `\\x1b\[2J`,
	} {
		if got := markdown(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
