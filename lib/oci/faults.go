package oci

import (
	"errors"
	"fmt"
	"strings"
)

// faults are what is wrong with one document, in order, so that it can be mended at once. None is no error.
type faults []error

// add adds an error, or each one of a list; nil is none.
func (f *faults) add(err error) { *f = append(*f, each(err)...) }

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Lines are the only one as it is, or a line for each below their number.
func (f faults) Lines() []string {
	if len(f) == 1 {
		return []string{f[0].Error()}
	}
	lines := []string{fmt.Sprintf("%d faults", len(f))}
	for _, err := range f {
		lines = append(lines, "  "+err.Error())
	}
	return lines
}

func (f faults) Error() string { return strings.Join(f.Lines(), "\n") }

func (f faults) Unwrap() []error { return f }

// each takes a list of faults apart.
func each(err error) []error {
	if list, ok := errors.AsType[faults](err); ok {
		return list
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
