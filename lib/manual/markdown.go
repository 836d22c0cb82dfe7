package manual

import (
	"regexp"
	"strings"
)

// ManPageOf converts Markdown to a manual page. It supports only the syntax that our documents use:
// headings, paragraphs, lists, tables, fenced blocks, inline code, emphasis and links. The first
// heading is the page's title.
func ManPageOf(name string, section int, text string, e Edition) string {
	p := &markdown{}
	pageHead(&p.out, name, section, e)
	title, body, _ := strings.Cut(strings.TrimPrefix(text, "# "), "\n")
	p.line(".SH NAME")
	p.line(roff(name) + ` \- ` + roff(strings.ToLower(title[:1])+title[1:]))
	p.line(".SH DESCRIPTION")
	p.fresh = true
	for line := range strings.Lines(body) {
		p.take(strings.TrimSuffix(line, "\n"))
	}
	return p.out.String()
}

// markdown converts a text to roff line by line.
type markdown struct {
	out     strings.Builder
	fenced  bool
	blank   bool     // the last line was blank
	fresh   bool     // nothing follows the last heading yet
	columns []string // of the current table
}

var (
	bullet = regexp.MustCompile(`^(-|[0-9]+\.) (.*)$`)
	rule   = regexp.MustCompile(`^\|( -+ \|)+$`)
)

func (p *markdown) line(text string) { p.out.WriteString(text + "\n") }

func (p *markdown) take(line string) {
	item := bullet.FindStringSubmatch(line)
	switch {
	case strings.HasPrefix(line, "```"):
		p.fence()
	case p.fenced:
		p.line(roffLine(line))
	case line == "":
		p.blank, p.columns = true, nil
	case strings.HasPrefix(line, "### "):
		p.heading(".SS ", line[4:])
	case strings.HasPrefix(line, "## "):
		p.heading(".SH ", line[3:])
	case rule.MatchString(line):
	case strings.HasPrefix(line, "| "):
		p.row(strings.Split(strings.Trim(line, "|"), "|"))
	case item != nil:
		p.line(`.IP "` + strings.Replace(item[1], "-", `\(bu`, 1) + `" 4`)
		p.text(item[2])
	default:
		if p.blank && !p.fresh {
			p.line(".PP")
		}
		p.text(strings.TrimSpace(line))
	}
}

func (p *markdown) text(line string) {
	p.blank, p.fresh = false, false
	p.line(filled(inline(line)))
}

func (p *markdown) heading(macro, text string) {
	if macro == ".SH " {
		text = strings.ToUpper(text)
	}
	p.line(macro + inline(text))
	p.blank, p.fresh = false, true
}

// fence begins or ends a code block.
func (p *markdown) fence() {
	if p.fenced = !p.fenced; p.fenced {
		if !p.fresh {
			p.line(".PP")
		}
		p.line(".RS 4")
		p.line(".nf")
	} else {
		p.line(".fi")
		p.line(".RE")
	}
	p.blank, p.fresh = true, false
}

// row converts a table row to a paragraph below the row's first cell. The table's header row labels
// the other cells.
func (p *markdown) row(cells []string) {
	if p.columns == nil {
		p.columns = cells
		return
	}
	p.line(".TP")
	p.text(cells[0])
	var parts []string
	for i, c := range cells[1:] {
		if c = strings.TrimSpace(c); c == "" {
			continue
		}
		if i+1 < len(p.columns) && len(p.columns) > 2 {
			c = strings.TrimSpace(p.columns[i+1]) + ": " + c
		}
		parts = append(parts, c)
	}
	p.text(strings.Join(parts, "; "))
}

// marks matches inline markup: code, strong, emphasis and links.
var marks = regexp.MustCompile("`([^`]+)`|\\*\\*([^*]+)\\*\\*|\\*([^*]+)\\*|\\[([^\\]]+)\\]\\([^)]*\\)")

// inline converts a line to roff.
func inline(text string) string {
	var b strings.Builder
	for {
		m := marks.FindStringSubmatchIndex(text)
		if m == nil {
			b.WriteString(roff(text))
			return b.String()
		}
		b.WriteString(roff(text[:m[0]]))
		for i, font := range []string{"B", "B", "I", "I"} {
			if from := m[2*i+2]; from >= 0 {
				b.WriteString(`\f` + font + roff(text[from:m[2*i+3]]) + `\fR`)
			}
		}
		text = text[m[1]:]
	}
}
