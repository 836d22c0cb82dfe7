package format

import (
	"errors"
	"fmt"
)

// Class says which kind of fault a stream has. The test vectors name it.
type Class string

// The classes of faults.
const (
	// ClassTruncated: the stream stops before its end record.
	ClassTruncated Class = "truncated"
	// ClassSyntax: the bytes are not JSON or msgpack.
	ClassSyntax Class = "syntax"
	// ClassValue: a record, field or value is not what the format allows.
	ClassValue Class = "value"
	// ClassOrder: a record stands where it may not.
	ClassOrder Class = "order"
	// ClassLimit: something is larger than the format allows.
	ClassLimit Class = "limit"
	// ClassVersion: the stream is of a version that this package does not know.
	ClassVersion Class = "version"
)

// ErrTruncated says that a stream stopped before its end record, as it does when
// the command that wrote it died.
var ErrTruncated = errors.New("stream ended without its end record")

// Error is a fault of a stream.
type Error struct {
	// Name is what the stream was called when it was opened, as in "stdin".
	Name string
	// Record is the number of the faulty record, from 1; the header is the first.
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

// fault is an error with its class, before the record's number is known.
type fault struct {
	class Class
	field string // empty where it is not one value that is wrong
	err   error
}

func (f *fault) Error() string {
	if f.field != "" {
		return f.field + ": " + f.err.Error()
	}
	return f.err.Error()
}

func (f *fault) Unwrap() error { return f.err }

// inField says which field's value an error of a decoder is about.
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
