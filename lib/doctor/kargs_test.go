package doctor

import (
	"testing"

	"chunkah/tests/bound"
)

// The files that bootc accepts have no fault, and all others have one.
func TestKargs(t *testing.T) {
	for _, text := range []string{
		`kargs = ["quiet"]`, "kargs = []\n",
		"# a comment\n\nkargs=[ # more\n \"a=b\",\n 'c',\n]# end\nmatch-architectures = [\"x86_64\"]\r\n",
		`"kargs" = ["a\"b\\ \u00e4"]`, "kargs = ['''a\nb''', \"\"\"c\\\n  d\"\"\"]",
	} {
		if err := checkKargs(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "match-architectures = []", `kargs = "quiet"`, `kargs = ["a" "b"]`, `kargs = ["a"`, `kargs = [a]`, `kargs = [1]`,
		"kargs = [\"a\nb\"]", "[kargs]\na = []", `kargs = ["a"] x`, "kargs = []\nkargs = []", "kargs = []\nother = []", "kargs",
		"kargs []", `kargs = ["\q"]`, `kargs = ["\ud800"]`, "kargs = ['\xff']", `kargs = ["`, "kargs = []\nmatch-architectures = 1",
		"kargs = []\n[other]\n", "Kargs = []",
	} {
		if err := checkKargs(text); err == nil {
			t.Errorf("%q has no fault", text)
		}
	}
}

// FuzzKargs checks that a valid file is still valid with an added comment, and is invalid with a
// second array.
func FuzzKargs(f *testing.F) {
	f.Add("# x\nkargs = [\"a\", 'b', \"\"\"c\\\n d\"\"\"]\nmatch-architectures = [\n]\n")
	f.Add(`kargs = ["\u00e4\U0001f600\t"]`)
	f.Fuzz(func(t *testing.T, text string) {
		bound.Input(t, len(text))
		if checkKargs(text) != nil {
			return
		}
		if err := checkKargs(text + "\n# end\n"); err != nil {
			t.Errorf("%q: with a comment: %v", text, err)
		}
		if checkKargs(text+"\nkargs = []\n") == nil {
			t.Errorf("%q: a second array is no fault", text)
		}
	})
}
