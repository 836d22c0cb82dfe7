package console

import (
	"strings"

	"chunkah/lib/quote"
)

// lister is an error with several lines. Its text consists of the lines joined by newlines.
type lister interface{ Lines() []string }

// errorLines returns the lines of an error's text. Only an error with a method Lines has several
// lines. Any other newline is part of a name or of an external message, and is quoted.
func errorLines(err error) []string {
	lines := split(err)
	for i, line := range lines {
		lines[i] = quote.Line(line)
	}
	return lines
}

// split splits an error if the error, or an error that it wraps, has several lines.
func split(err error) []string {
	if list, ok := err.(lister); ok {
		return append([]string(nil), list.Lines()...)
	}
	text := err.Error()
	var inner []error
	switch x := err.(type) { //nolint:errorlint // walks the tree of errors itself, one level per call
	case interface{ Unwrap() error }:
		inner = []error{x.Unwrap()}
	case interface{ Unwrap() []error }:
		inner = x.Unwrap()
		if isJoin(text, inner) {
			var lines []string
			for _, one := range inner {
				lines = append(lines, split(one)...)
			}
			return lines
		}
	}
	lines := []string{""}
	add := func(more []string) {
		lines[len(lines)-1] += more[0]
		lines = append(lines, more[1:]...)
	}
	for _, one := range inner {
		if one == nil {
			continue
		}
		before, after, found := strings.Cut(text, one.Error())
		if more := split(one); found && len(more) > 1 {
			add([]string{before})
			add(more)
			text = after
		}
	}
	add([]string{text})
	return lines
}

// isJoin reports whether a text was produced by errors.Join.
func isJoin(text string, list []error) bool {
	var texts []string
	for _, err := range list {
		texts = append(texts, err.Error())
	}
	return text == strings.Join(texts, "\n")
}
