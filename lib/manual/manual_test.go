package manual

import (
	"strings"
	"testing"
)

// odd returns a command that contains all characters that must be escaped in any output.
func odd() *Command {
	return &Command{
		Name: "tool", Short: `does 'it' - with a \ and "quotes"`, Long: ".PP is no macro, and nor is 'br.\nA second line.",
		Synopsis: "[OPTIONS] FILE...", Operand: "FILE",
		Options: []Option{
			{Short: 'o', Long: "output", Value: "DEST", Section: "Output", Text: "where [it] goes: don't ask, \\ or `this`", Repeats: true},
			{Long: "kind", Value: "one|two", Section: "Output", Brief: "which", Text: "which of ~both^ is meant; each has $MEANING", Env: "TOOL_KIND"},
		},
		Examples: []Example{{Text: "An example", Line: `tool -o 'a b' --kind=one`}},
		Statuses: []Status{{"0", "Done."}},
		Also:     []string{"z(1)", "a(5)"},
	}
}

func TestManPage(t *testing.T) {
	page := ManPage(odd(), Edition{Version: "v1-2", Date: "2026-01-02"})
	for _, want := range []string{
		`.TH "TOOL" 1 "2026-01-02" "chunkah v1\-2" "chunkah manual"` + "\n",
		`does \(aqit\(aq \- with a \(rs and "quotes"`,
		"\n" + `\&.PP is no macro`,
		`\fB\-o\fR, \fB\-\-output\fR \fIDEST\fR` + "\n",
		"which of \\(tiboth\\(ha is meant; each has $MEANING [$TOOL_KIND]\n",
		".TP\n\\fBTOOL_KIND\\fR\n",
		"\\fBa\\fR(5),\n\\fBz\\fR(1)\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %q in\n%s", want, page)
		}
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !strings.Contains(" .TH .SH .SS .TP .PP .RS .RE .nf .fi ", " "+strings.Fields(line)[0]+" ") {
			t.Errorf("a macro by accident: %q", line)
		}
	}
}

// If there are too many options for a screen, the last options are left out, and all other parts
// are complete.
func TestScreenIsFull(t *testing.T) {
	c := odd()
	for range 40 {
		c.Options = append(c.Options, c.Options[0])
	}
	text := Screen(c)
	if n := strings.Count(text, "\n"); n != screenLines {
		t.Errorf("%d lines", n)
	}
	if !strings.HasSuffix(text, "All options: tool --help-all, or man tool\n") || !strings.Contains(text, "  tool -o 'a b' --kind=one\n") {
		t.Errorf("the end is missing:\n%s", text)
	}
}

func TestClosest(t *testing.T) {
	choices := []string{"build", "scan", "pack", "write", "prune", "max", "max-layers", "json", "label", "max-layer-size", "cache-size", "keep-xattr", "compress", "level"}
	tests := []struct{ name, want string }{
		{"biuld", "build"},
		{"build", "build"},
		{"BUILD", ""},
		{"scna", "scan"},
		{"wrtie", "write"},
		{"bui", "build"},
		{"prunes", "prune"},
		{"mx", "max"},
		{"max-layer", "max-layers"},
		{"lable", "label"},
		{"layers", "max-layers"},
		{"max-size", "max-layer-size"},
		{"xattrs", "keep-xattr"},
		{"compression", "compress"},
		{"cmpress", "compress"},
		{"x", ""},
		{"", ""},
		{"zzzzzz", ""},
		{strings.Repeat("build", 1<<16), ""},
	}
	for _, tt := range tests {
		if got := Closest(tt.name, choices); got != tt.want {
			t.Errorf("%.20q: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestKinds(t *testing.T) {
	tests := []struct {
		value string
		want  kind
	}{
		{"", kindNone},
		{"FILE", kindFile},
		{"DIR", kindFolder},
		{"SOURCE", kindImage},
		{"DEST", kindImage},
		{"N|IMAGE", kindImage},
		{"FILE|IMAGE", kindImage},
		{"CMD", kindCommand},
		{"none|gzip|zstd", kindChoice},
		{"K=V|K-|-", kindOther},
		{"N", kindOther},
	}
	for _, tt := range tests {
		if got := kindOf(tt.value); got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.value, got, tt.want)
		}
	}
}
