package manual

import (
	"fmt"
	"slices"
	"strings"
)

// The size of a screen in columns and lines. The last line is left for the prompt.
const (
	screenColumns = 80
	screenLines   = 24 - 1
)

// textColumn is the column at which option descriptions begin.
const textColumn = 28

// Screen returns the help that fits a screen: common options, examples, and how to get the rest.
func Screen(c *Command) string {
	head := heading(c)
	for _, sub := range c.Commands {
		head = append(head, entry("  "+sub.word(), sub.Short)...)
	}
	tail := examples(c)
	tail = append(tail, wrap("All options: "+c.Name+" --help-all, or man "+c.Page(), 0)...)
	options := optionLines(often(c), screenLines-len(head)-len(tail))
	return strings.Join(slices.Concat(head, options, tail), "\n") + "\n"
}

// Everything returns the complete help.
func Everything(c *Command) string {
	lines := heading(c)
	for _, sub := range c.Commands {
		lines = append(lines, entry("  "+sub.word(), sub.Short)...)
	}
	for _, section := range sections(c.Options) {
		lines = append(lines, "", section+":")
		for _, o := range c.Options {
			if o.Section == section {
				lines = append(lines, entry(label(o), o.full())...)
			}
		}
	}
	return strings.Join(slices.Concat(lines, []string{""}, examples(c)), "\n") + "\n"
}

// heading returns the usage line and the description.
func heading(c *Command) []string {
	lines := wrap("Usage: "+c.Name+" "+c.Synopsis, len("Usage: "))
	return append(lines, wrap(c.Long, 0)...)
}

// often returns the options for the short help, grouped by section.
func often(c *Command) []Option {
	if len(c.Often) == 0 {
		return c.Options
	}
	var list []Option
	for _, section := range sections(c.Options) {
		for _, o := range c.Options {
			if o.Section == section && slices.Contains(c.Often, o.Long) {
				list = append(list, o)
			}
		}
	}
	return list
}

// optionLines formats as many options as fit into the given number of lines, under their section
// headings.
func optionLines(options []Option, most int) []string {
	var lines []string
	section := ""
	for _, o := range options {
		var next []string
		if o.Section != section {
			next = append(next, o.Section+":")
		}
		next = append(next, entry(label(o), o.line())...)
		if len(lines)+len(next) > most {
			break
		}
		lines, section = append(lines, next...), o.Section
	}
	return lines
}

// examples formats the examples, one line each.
func examples(c *Command) []string {
	if len(c.Examples) == 0 {
		return nil
	}
	lines := []string{"Examples:"}
	for _, e := range c.Examples {
		lines = append(lines, "  "+e.Line)
	}
	return lines
}

// label returns an option's name as shown in a list.
func label(o Option) string {
	text := "      --" + o.Long
	if o.Short != 0 {
		text = fmt.Sprintf("  -%c, --%s", o.Short, o.Long)
	}
	if o.Value != "" {
		text += " " + o.Value
	}
	return text
}

// full returns the complete description of an option.
func (o Option) full() string {
	if o.Env == "" {
		return o.Text
	}
	return o.Text + " [$" + o.Env + "]"
}

// entry puts a text beside its label, or below a label that is too long.
func entry(label, text string) []string {
	lines := wrap(strings.Repeat(" ", textColumn)+text, textColumn)
	switch {
	case len(label) >= textColumn && len(label)+1+len(text) < screenColumns:
		return []string{label + " " + text}
	case len(label) >= textColumn:
		return append([]string{label}, lines...)
	}
	lines[0] = label + lines[0][len(label):]
	return lines
}

// wrap breaks a text at spaces to fit the screen, and indents all lines but the first. It keeps
// leading spaces.
func wrap(text string, indent int) []string {
	words := strings.Fields(text)
	line := text[:len(text)-len(strings.TrimLeft(text, " "))]
	var lines []string
	for i, w := range words {
		if i > 0 && len(line)+1+len(w) >= screenColumns {
			lines, line = append(lines, line), strings.Repeat(" ", indent)
		} else if i > 0 {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}
