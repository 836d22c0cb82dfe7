// Package english searches the documents, comments and messages of this repository for
// the phrases of scripts/words, and for lines that are too wide.
package english

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	top = "../.."

	proseWidth   = 120 // columns in a line of a document
	cellWidth    = 240 // characters in a table cell
	commentWidth = 100 // columns in a line comment in Go; a tab counts as four
)

// A passage is text without markup, together with the source line of each part.
type passage struct {
	text   string
	starts []int // offset in text of each part
	lines  []int
}

func (p *passage) add(line int, text string) {
	if p.text != "" {
		p.text += " "
	}
	p.starts, p.lines = append(p.starts, len(p.text)), append(p.lines, line)
	p.text += strings.Join(strings.Fields(text), " ")
}

// lineOf returns the source line of an offset in the text.
func (p *passage) lineOf(offset int) int {
	i, found := slices.BinarySearch(p.starts, offset)
	if !found {
		i--
	}
	return p.lines[i]
}

type phrase struct {
	pattern *regexp.Regexp
	better  string
}

// A wordList contains the parsed file scripts/words.
type wordList struct {
	phrases []phrase
	allowed []*regexp.Regexp
	exempt  map[string][]string // by kind, "words" or "width": packages and pages
}

func readWords(t *testing.T) wordList {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "scripts/words"))
	if err != nil {
		t.Fatal(err)
	}
	list := wordList{exempt: make(map[string][]string)}
	for i, line := range strings.Split(string(text), "\n") {
		first, rest, _ := strings.Cut(line, " ")
		expression, better, isPhrase := strings.Cut(line, "\t")
		switch {
		case line == "" || first == "#":
		case first == "=":
			list.allowed = append(list.allowed, regexp.MustCompile("(?i)"+rest))
		case first == "words" || first == "width":
			list.exempt[first] = append(list.exempt[first], rest)
		case isPhrase:
			list.phrases = append(list.phrases, phrase{regexp.MustCompile("(?i)" + expression), better})
		default:
			t.Fatalf("scripts/words:%d: a phrase needs a tab and better words", i+1)
		}
	}
	return list
}

// find returns a line for each phrase in the passages.
func (l wordList) find(passages []passage) []string {
	var found []string
	for _, p := range passages {
		text := p.text
		for _, allowed := range l.allowed {
			text = allowed.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat(" ", len(s)) })
		}
		for _, ph := range l.phrases {
			for _, at := range ph.pattern.FindAllStringIndex(text, -1) {
				found = append(found, fmt.Sprintf("%d: %q: better %s", p.lineOf(at[0]), text[at[0]:at[1]], ph.better))
			}
		}
	}
	return found
}

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	listItem   = regexp.MustCompile(`^ *([-*]|\d+\.) `)
)

// prose returns the paragraphs, list items and table rows of a document, without code.
func prose(text string) []passage {
	var passages []passage
	var p passage
	flush := func() {
		if p.text = inlineCode.ReplaceAllStringFunc(p.text, func(s string) string { return strings.Repeat("`", len(s)) }); p.text != "" {
			passages = append(passages, p)
		}
		p = passage{}
	}
	code := false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") {
			code = !code
			flush()
			continue
		}
		if code || trimmed == "" || strings.HasPrefix(line, "    ") && p.text == "" {
			flush()
			continue
		}
		if listItem.MatchString(line) || strings.HasPrefix(trimmed, "|") || strings.HasPrefix(line, "#") {
			flush()
		}
		p.add(i+1, trimmed)
	}
	flush()
	return passages
}

// comments returns the comments of a Go file and, if it is not a test, its string
// literals, which contain all messages and help texts.
func comments(t *testing.T, name string, text []byte) []passage {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var passages []passage
	for _, group := range file.Comments {
		var p passage
		for _, c := range group.List {
			if line, isLine := strings.CutPrefix(c.Text, "//"); isLine && !strings.HasPrefix(line, "go:") {
				p.add(files.Position(c.Pos()).Line, line)
			}
		}
		passages = append(passages, p)
	}
	if strings.HasSuffix(name, "_test.go") {
		return passages
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			value, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			var p passage
			p.add(files.Position(lit.Pos()).Line, value)
			passages = append(passages, p)
		}
		return true
	})
	return passages
}

// wideProse returns a line for each line and table cell of a document that is too wide.
func wideProse(text string) []string {
	var found []string
	code := false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			code = !code
		case code:
		case strings.HasPrefix(trimmed, "|"):
			for cell := range strings.SplitSeq(trimmed, "|") {
				if n := utf8.RuneCountInString(cell); n > cellWidth {
					found = append(found, fmt.Sprintf("%d: a cell has %d characters, more than %d", i+1, n, cellWidth))
				}
			}
		default:
			if n := utf8.RuneCountInString(line); n > proseWidth {
				found = append(found, fmt.Sprintf("%d: the line has %d columns, more than %d", i+1, n, proseWidth))
			}
		}
	}
	return found
}

// wideComments returns a line for each line comment of a Go file that is too wide.
func wideComments(text string) []string {
	var found []string
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "//") {
			continue
		}
		if n := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); n > commentWidth {
			found = append(found, fmt.Sprintf("%d: the comment has %d columns, more than %d", i+1, n, commentWidth))
		}
	}
	return found
}

// check reports what search finds in all documents and Go files, except in exempt packages and
// pages. An exemption that is no longer needed is an error too, so that the list only gets shorter.
func check(t *testing.T, kind string, search func(name string, text []byte) []string) {
	t.Helper()
	exempt := readWords(t).exempt[kind]
	needed := make(map[string]bool)
	files := 0
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), top+"/")
		generated := slices.Contains([]string{"bin", "demo", "dist", "share", ".git"}, name)
		if d.IsDir() && (generated || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		place := name
		if strings.HasSuffix(name, ".go") {
			place = filepath.ToSlash(filepath.Dir(name))
		} else if !strings.HasSuffix(name, ".md") {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range search(name, text) {
			if needed[place] = true; !slices.Contains(exempt, place) {
				t.Errorf("%s:%s", name, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("only %d files were searched", files)
	}
	for _, place := range exempt {
		if !needed[place] {
			t.Errorf("scripts/words: %q needs no exemption any more: delete the line \"%s %s\"", place, kind, place)
		}
	}
}

func TestWords(t *testing.T) {
	list := readWords(t)
	check(t, "words", func(name string, text []byte) []string {
		if strings.HasSuffix(name, ".go") {
			return list.find(comments(t, name, text))
		}
		return list.find(prose(string(text)))
	})
}

func TestWidths(t *testing.T) {
	check(t, "width", func(name string, text []byte) []string {
		if strings.HasSuffix(name, ".go") {
			return wideComments(string(text))
		}
		return wideProse(string(text))
	})
}

// The search finds phrases across line breaks, reports the correct line, and ignores code.
func TestSearch(t *testing.T) {
	list := wordList{
		phrases: []phrase{{regexp.MustCompile(`(?i)\bis no\b`), "is not a"}},
		allowed: []*regexp.Regexp{regexp.MustCompile(`(?i)\bthere is no\b`)},
	}
	wide := strings.Repeat("x", commentWidth-2) // with the slashes as wide as allowed
	document := "One line,\nand this is\nno line.\n\n```sh\nis no\n```\n`is no` There is no fault.\n| a | is no |\n"
	source := "package p\n\n// A comment\n// is no\n// map.\nvar s = \"there is no, is no\"\n\n//" + wide + "\n\t//" + wide + "\n"
	for _, c := range []struct {
		name string
		got  []string
		want []string
	}{
		{"document", list.find(prose(document)), []string{"2", "9"}},
		{"source", list.find(comments(t, "p.go", []byte(source))), []string{"4", "6"}},
		{"test", list.find(comments(t, "p_test.go", []byte(source))), []string{"4"}},
		{"comments", wideComments(source), []string{"9"}},
		{"lines", wideProse(strings.Repeat("ä", proseWidth) + "\n" + strings.Repeat("ä", proseWidth+1)), []string{"2"}},
		{"cells", wideProse("| " + strings.Repeat("x ", cellWidth/2) + "|"), []string{"1"}},
	} {
		var lines []string
		for _, found := range c.got {
			line, _, _ := strings.Cut(found, ":")
			lines = append(lines, line)
		}
		if !slices.Equal(lines, c.want) {
			t.Errorf("%s: found %q, want lines %q", c.name, c.got, c.want)
		}
	}
}
