package console

import (
	"strings"

	"chunkah/lib/quote"
)

// lister is an error of several lines, which are its text joined by newlines.
type lister interface{ Lines() []string }

// ErrorLines are the lines of an error's text, for people. An error of several lines says so
// by its type: any other newline came with a name or a message from outside, and is
// quoted as all else there.
func ErrorLines(err error) []string {
	lines := split(err)
	for i, line := range lines {
		lines[i] = quote.Line(line)
	}
	return lines
}

// split takes an error apart where it, or what it wraps, has several lines.
func split(err error) []string {
	if list, ok := err.(lister); ok {
		return append([]string(nil), list.Lines()...)
	}
	text := err.Error()
	var inner []error
	switch x := err.(type) { //nolint:errorlint // it walks the tree of errors itself, a level per call
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

// isJoin reports whether a text is that of errors.Join.
func isJoin(text string, list []error) bool {
	var texts []string
	for _, err := range list {
		texts = append(texts, err.Error())
	}
	return text == strings.Join(texts, "\n")
}
