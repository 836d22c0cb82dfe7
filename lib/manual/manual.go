// Package manual shows what a command line offers: as a help screen, as manual
// pages, as completions for bash, zsh and fish, and by guessing what a misspelt
// name was to be. It knows descriptions of commands and no flags package: whoever
// parses the command line describes it, so that all of those say the same.
//
// What it renders depends on the description alone: no clock, terminal or
// environment.
package manual

import (
	"regexp"
	"slices"
	"strings"
)

// Command describes a command.
type Command struct {
	// Name is how it is called: "chunkah-scan", or "chunkah build" where it is a
	// command of another.
	Name string
	// Short says what it does in a few words, Long in sentences.
	Short, Long string
	// Synopsis is what follows the name.
	Synopsis string
	Options  []Option
	// Often names the options, by long names, that a screen has place for; empty
	// are the first ones.
	Often    []string
	Examples []Example
	Commands []*Command
	// Operand is what its arguments are, as the Value of an option; empty where it
	// has none.
	Operand string
	// Statuses are its exit statuses.
	Statuses []Status
	// Also are related pages, as "chunkah-pack(1)".
	Also []string
}

// Option describes an option.
type Option struct {
	Short rune // 0 for none
	Long  string
	// Value stands for its value, as "FILE" or "none|gzip|zstd"; empty for a switch.
	Value string
	// Section is the heading that it stands under.
	Section string
	// Brief fits a line of a screen, Text says all. Brief may be empty.
	Brief, Text string
	// Env is the variable that stands in for it.
	Env string
	// Repeats says that it may be given more than once.
	Repeats bool
}

// Example is a command line and what it is for.
type Example struct{ Text, Line string }

// Status is an exit status and what it means.
type Status struct{ Code, Text string }

// Page is the name of its manual page: "chunkah-build".
func (c *Command) Page() string { return strings.ReplaceAll(c.Name, " ", "-") }

// binary is the program that runs it.
func (c *Command) binary() string {
	name, _, _ := strings.Cut(c.Name, " ")
	return name
}

// word is the last word of its name.
func (c *Command) word() string { return c.Name[strings.LastIndexByte(c.Name, ' ')+1:] }

// names are the option's, with dashes.
func (o Option) names() []string {
	var names []string
	if o.Short != 0 {
		names = append(names, "-"+string(o.Short))
	}
	return append(names, "--"+o.Long)
}

// line is what fits a line of it.
func (o Option) line() string {
	if o.Brief != "" {
		return o.Brief
	}
	return o.Text
}

// sections are the headings of options in the order in which they come first.
func sections(options []Option) []string {
	var list []string
	for _, o := range options {
		if !slices.Contains(list, o.Section) {
			list = append(list, o.Section)
		}
	}
	return list
}

// kind is what a value is, for completions.
type kind int

const (
	kindOther kind = iota
	kindNone       // there is no value
	kindFile
	kindFolder
	kindImage // a place of an image, with or without its transport
	kindCommand
	kindChoice
)

// choice matches a value that is one of several words.
var choice = regexp.MustCompile(`^[a-z0-9]+(\|[a-z0-9]+)+$`)

// kindOf tells by the name of a value what it is.
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
