// Package manual generates documentation of the command line: help screens, manual pages, and
// completions for bash, zsh and fish. It also suggests corrections of misspelt names. It does not
// depend on the flags package. Instead, the command-line parser describes its commands, so that the
// parser and all documentation agree.
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
	// Short describes the command in a few words, Long in full sentences.
	Short, Long string
	// Synopsis is the text after the name in the usage line.
	Synopsis string
	Options  []Option
	// Often lists the long names of the options for the short help. If it is empty, the first
	// options are shown.
	Often    []string
	Examples []Example
	Commands []*Command
	// Operand describes the command's arguments, like an option's Value. It is empty if the command
	// takes no arguments.
	Operand string
	// Statuses are the command's exit statuses.
	Statuses []Status
	// Also lists related pages, for example "chunkah-pack(1)".
	Also []string
}

// Option describes an option.
type Option struct {
	Short rune // 0 for none
	Long  string
	// Value is the placeholder for the option's value, for example "FILE" or "none|gzip|zstd". It
	// is empty for a switch.
	Value string
	// Section is the heading under which the option is listed.
	Section string
	// Brief fits on one line, and Text is the complete description. Brief can be empty.
	Brief, Text string
	// Env is the environment variable with the same effect.
	Env string
	// Repeats is set if the option can be given more than once.
	Repeats bool
}

// Example is a command line with a description.
type Example struct{ Text, Line string }

// Status is an exit status with its meaning.
type Status struct{ Code, Text string }

// Page returns the name of the command's manual page, for example "chunkah-build".
func (c *Command) Page() string { return strings.ReplaceAll(c.Name, " ", "-") }

// binary returns the name of the command's program.
func (c *Command) binary() string {
	name, _, _ := strings.Cut(c.Name, " ")
	return name
}

// word returns the last word of the command's name.
func (c *Command) word() string { return c.Name[strings.LastIndexByte(c.Name, ' ')+1:] }

// names returns the option's names with dashes.
func (o Option) names() []string {
	var names []string
	if o.Short != 0 {
		names = append(names, "-"+string(o.Short))
	}
	return append(names, "--"+o.Long)
}

// line returns the option's one-line description.
func (o Option) line() string {
	if o.Brief != "" {
		return o.Brief
	}
	return o.Text
}

// sections returns the headings in the order in which they first occur in options.
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

// choice matches the placeholder of a value that must be one of several words.
var choice = regexp.MustCompile(`^[a-z0-9:]+(\|[a-z0-9:]+)+$`)

// kindOf determines the kind of a value from its placeholder.
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
