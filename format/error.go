package format

import (
	"errors"
	"fmt"
)

// Class is a kind of fault in a stream. Test vectors refer to classes by name.
type Class string

// The classes of faults.
const (
	// ClassTruncated means that the stream stops before its end record.
	ClassTruncated Class = "truncated"
	// ClassSyntax means that the bytes are not JSON or msgpack.
	ClassSyntax Class = "syntax"
	// ClassValue means that a record, field or value is invalid.
	ClassValue Class = "value"
	// ClassOrder means that a record is in the wrong place.
	ClassOrder Class = "order"
	// ClassLimit means that something is larger than the format allows.
	ClassLimit Class = "limit"
	// ClassVersion means that the stream has an unknown version.
	ClassVersion Class = "version"
)

// ErrTruncated means that a stream stopped before its end record, for example because the command
// that wrote it died.
var ErrTruncated = errors.New("stream ended without its end record")

// Error is a fault in a stream.
type Error struct {
	// Name is the name given to NewReader, for example "stdin".
	Name string
	// Record is the number of the faulty record; the header is number 1.
	Record int64
	Class  Class
	Err    error
}

func (e *Error) Error() string {
	if e.Class == ClassTruncated {
		return fmt.Sprintf("%s: after record %d: %v", e.Name, e.Record-1, e.Err)
	}
	return fmt.Sprintf("%s: record %d: %v", e.Name, e.Record, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// fault is an error with its class. The number of the record is not known yet.
type fault struct {
	class Class
	field string // empty if the fault is not in a single value
	err   error
}

func (f *fault) Error() string {
	if f.field != "" {
		return f.field + ": " + f.err.Error()
	}
	return f.err.Error()
}

func (f *fault) Unwrap() error { return f.err }

// inField adds the field's name to an error from a decoder.
func inField(err error, name string) {
	if f, ok := errors.AsType[*fault](err); ok {
		f.field = name
	}
}

func faultf(class Class, format string, args ...any) error {
	return &fault{class: class, err: fmt.Errorf(format, args...)}
}

func valuef(format string, args ...any) error  { return faultf(ClassValue, format, args...) }
func limitf(format string, args ...any) error  { return faultf(ClassLimit, format, args...) }
func syntaxf(format string, args ...any) error { return faultf(ClassSyntax, format, args...) }
