// Package manual generates documentation of the command line: help screens, manual pages, and
// completions for bash, zsh and fish. It also guesses misspelt names. It does not know the flags
// package: the parser of the command line describes its commands, so that all of these agree.
//
// The output depends only on the description, not on the clock, the terminal or the environment.
package manual

import (
	"regexp"
	"slices"
	"strings"
)

// Command describes a command.
type Command struct {
	// Name is the command as typed: "chunkah-scan", or "chunkah build" for a subcommand.
	Name string
	// Short is a description in a few words, Long in sentences.
	Short, Long string
	// Synopsis follows the name.
	Synopsis string
	Options  []Option
	// Often has the long names of options for the short help; if empty, the first ones.
	Often    []string
	Examples []Example
	Commands []*Command
	// Operand describes its arguments, like an option's Value; empty if it has none.
	Operand string
	// Statuses are its exit statuses.
	Statuses []Status
	// Also are related pages, for example "chunkah-pack(1)".
	Also []string
}

// Option describes an option.
type Option struct {
	Short rune // 0 for none
	Long  string
	// Value is the placeholder of its value, for example "FILE" or "none|gzip|zstd"; empty for a
	// switch.
	Value string
	// Section is its heading.
	Section string
	// Brief fits on one line, Text is the complete description. Brief may be empty.
	Brief, Text string
	// Env is the environment variable with the same effect.
	Env string
	// Repeats is set if it can be given more than once.
	Repeats bool
}

// Example is a command line with a description.
type Example struct{ Text, Line string }

// Status is an exit status with its meaning.
type Status struct{ Code, Text string }

// Page returns the name of its manual page: "chunkah-build".
func (c *Command) Page() string { return strings.ReplaceAll(c.Name, " ", "-") }

// binary returns the name of its program.
func (c *Command) binary() string {
	name, _, _ := strings.Cut(c.Name, " ")
	return name
}

// word returns the last word of its name.
func (c *Command) word() string { return c.Name[strings.LastIndexByte(c.Name, ' ')+1:] }

// names returns the option's names with dashes.
func (o Option) names() []string {
	var names []string
	if o.Short != 0 {
		names = append(names, "-"+string(o.Short))
	}
	return append(names, "--"+o.Long)
}

// line returns its description for one line.
func (o Option) line() string {
	if o.Brief != "" {
		return o.Brief
	}
	return o.Text
}

// sections returns the headings of options in the order of their first option.
func sections(options []Option) []string {
	var list []string
	for _, o := range options {
		if !slices.Contains(list, o.Section) {
			list = append(list, o.Section)
		}
	}
	return list
}

// kind is a value's kind for completions.
type kind int

const (
	kindOther kind = iota
	kindNone       // without a value
	kindFile
	kindFolder
	kindImage // an image name, with or without its transport
	kindCommand
	kindChoice
)

// choice matches a value that is one of several words.
var choice = regexp.MustCompile(`^[a-z0-9:]+(\|[a-z0-9:]+)+$`)

// kindOf returns the kind of a value by its placeholder.
func kindOf(value string) kind {
	switch {
	case value == "":
		return kindNone
	case choice.MatchString(value):
		return kindChoice
	}
	for name := range strings.SplitSeq(value, "|") {
		switch name {
		case "IMAGE", "SOURCE", "DEST", "OLD", "NEW":
			return kindImage
		case "FILE":
			if strings.Contains(value, "IMAGE") {
				return kindImage
			}
			return kindFile
		case "DIR", "ROOT":
			return kindFolder
		case "CMD":
			return kindCommand
		}
	}
	return kindOther
}
