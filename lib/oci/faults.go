package oci

import (
	"errors"
	"fmt"
	"strings"
)

// faults lists the errors in one document, in order, so that users can fix all of them in one go.
type faults []error

// add adds an error, or each error in a list. A nil error adds nothing.
func (f *faults) add(err error) { *f = append(*f, each(err)...) }

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Lines returns one line for a single error. For several errors it returns a line with their number
// and then one line per error.
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

// each splits a list of faults into its errors.
func each(err error) []error {
	if list, ok := errors.AsType[faults](err); ok {
		return list
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
