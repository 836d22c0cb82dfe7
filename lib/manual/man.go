package manual

import (
	"fmt"
	"slices"
	"strings"
)

// Edition is the footer of a manual page.
type Edition struct {
	Version string
	Date    string // for example 2006-01-02; empty for none
}

// ManPage returns the command's page for section 1, written with the man macros.
func ManPage(c *Command, e Edition) string {
	var b strings.Builder
	pageHead(&b, c.Page(), 1, e)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(c.Page()), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n\\fB%s\\fR %s\n", roff(c.Name), roff(c.Synopsis))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", filled(roff(c.Long)))
	manCommands(&b, c)
	manOptions(&b, c)
	manEnvironment(&b, c)
	if len(c.Statuses) > 0 {
		b.WriteString(".SH EXIT STATUS\n")
		for _, s := range c.Statuses {
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", roff(s.Code), filled(roff(s.Text)))
		}
	}
	if len(c.Examples) > 0 {
		b.WriteString(".SH EXAMPLES\n")
		for _, x := range c.Examples {
			fmt.Fprintf(&b, "%s:\n.PP\n.RS 4\n.nf\n%s\n.fi\n.RE\n.PP\n", filled(roff(x.Text)), roffLine(x.Line))
		}
		trimParagraph(&b)
	}
	manAlso(&b, c)
	return b.String()
}

func pageHead(b *strings.Builder, name string, section int, e Edition) {
	fmt.Fprintf(b, ".TH %s %d %s %s %s\n", quoted(strings.ToUpper(name)), section, `"`+e.Date+`"`,
		quoted("chunkah "+e.Version), quoted("chunkah manual"))
}

func manCommands(b *strings.Builder, c *Command) {
	if len(c.Commands) == 0 {
		return
	}
	b.WriteString(".SH COMMANDS\nEach command has its own page.\n")
	for _, sub := range c.Commands {
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR(1)\n%s\n", roff(sub.Page()), filled(roff(sub.Short)))
	}
}

func manOptions(b *strings.Builder, c *Command) {
	b.WriteString(".SH OPTIONS\n")
	for _, section := range sections(c.Options) {
		fmt.Fprintf(b, ".SS %s\n", roff(section))
		for _, o := range c.Options {
			if o.Section != section {
				continue
			}
			var names []string
			for _, n := range o.names() {
				names = append(names, `\fB`+roff(n)+`\fR`)
			}
			line := strings.Join(names, ", ")
			if o.Value != "" {
				line += ` \fI` + roff(o.Value) + `\fR`
			}
			fmt.Fprintf(b, ".TP\n%s\n%s\n", line, filled(roff(o.full())))
		}
	}
}

func manEnvironment(b *strings.Builder, c *Command) {
	head := ".SH ENVIRONMENT\nOptions override variables.\nAn empty variable counts as unset.\n"
	for _, o := range c.Options {
		if o.Env == "" {
			continue
		}
		fmt.Fprintf(b, "%s.TP\n\\fB%s\\fR\nis the default for \\fB%s\\fR.\n", head, roff(o.Env), roff("--"+o.Long))
		head = ""
	}
}

func manAlso(b *strings.Builder, c *Command) {
	if len(c.Also) == 0 {
		return
	}
	var pages []string
	for _, p := range slices.Sorted(slices.Values(c.Also)) {
		name, section, _ := strings.Cut(p, "(")
		pages = append(pages, `\fB`+roff(name)+`\fR(`+section)
	}
	fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", strings.Join(pages, ",\n"))
}

// trimParagraph removes an empty last paragraph.
func trimParagraph(b *strings.Builder) {
	text := strings.TrimSuffix(b.String(), ".PP\n")
	b.Reset()
	b.WriteString(text)
}

// roffText escapes the characters that roff interprets or prints as other characters.
var roffText = strings.NewReplacer(`\`, `\(rs`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`)

// roff escapes a string for roff.
func roff(text string) string { return roffText.Replace(text) }

// roffLine escapes a string that is printed on one line. A period at the beginning of the line must
// not be read as a macro.
func roffLine(text string) string {
	text = roff(text)
	if strings.HasPrefix(text, ".") {
		return `\&` + text
	}
	return text
}

// longestSource is the length, in bytes, of the longest source line that mandoc accepts.
const longestSource = 78

// filled breaks roff text into source lines. roff joins them again.
func filled(text string) string {
	var b strings.Builder
	column := 0
	for i, w := range strings.Fields(text) {
		switch {
		case i > 0 && column+1+len(w) > longestSource:
			b.WriteByte('\n')
			column = 0
		case i > 0:
			b.WriteByte(' ')
			column++
		}
		if column == 0 && strings.HasPrefix(w, ".") {
			b.WriteString(`\&`)
		}
		b.WriteString(w)
		column += len(w)
	}
	return b.String()
}

// quoted quotes an argument of a macro.
func quoted(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }
