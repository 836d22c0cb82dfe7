package format

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Encoding is the encoding of records.
type Encoding string

// The encodings.
const (
	JSON    Encoding = "json"
	Msgpack Encoding = "msgpack"
)

// ParseEncoding parses the name of an encoding.
func ParseEncoding(s string) (Encoding, error) {
	switch e := Encoding(s); e {
	case JSON, Msgpack:
		return e, nil
	}
	return "", fmt.Errorf("unknown format %q: expected json or msgpack", s)
}

// writeBuffer is the number of bytes per write. It equals the size of a pipe.
const writeBuffer = 64 << 10

// Writer writes a stream. It is a Sink.
type Writer struct {
	out  *bufio.Writer
	json *jsonEncoder
	msgp *msgpackEncoder
	bare bool // the stream is a sequence, without header and end
	seen bool // the header was written
	err  error
}

// NewWriter returns a writer for a stream in one encoding.
func NewWriter(w io.Writer, enc Encoding) *Writer {
	wr := &Writer{out: bufio.NewWriterSize(w, writeBuffer)}
	if enc == Msgpack {
		wr.msgp = newMsgpackEncoder()
	} else {
		wr.json = &jsonEncoder{}
	}
	return wr
}

// NewSequenceWriter returns a writer for a sequence of records that NewSequenceReader can read.
// Finish writes no end record.
func NewSequenceWriter(w io.Writer, enc Encoding) *Writer {
	s := NewWriter(w, enc)
	s.bare = true
	return s
}

var (
	errHeader   = errors.New("a stream has one header, as its first record")
	errEnd      = errors.New("only Finish writes the end record")
	errFinished = errors.New("the stream is finished")
)

// Write writes one valid record. The first record must be the header. Later calls return the first
// error again. The order of the other records is checked by the reader, not here.
func (w *Writer) Write(rec Record) error {
	if _, end := rec.(End); end && w.err == nil {
		return w.fail(errEnd)
	}
	return w.write(rec)
}

// Finish ends the stream with its end record. Do not call it after an error, because a stream
// without an end record is recognised as incomplete.
func (w *Writer) Finish() error {
	if w.err == nil && !w.bare {
		_ = w.write(End{}) // the error is in w.err
	}
	if w.err != nil {
		return w.err
	}
	if err := w.out.Flush(); err != nil {
		return w.fail(err)
	}
	_ = w.fail(errFinished) // later writes fail with this error
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = fmt.Errorf("writing stream: %w", err)
	return w.err
}

func (w *Writer) write(rec Record) error {
	if w.err != nil {
		return w.err
	}
	if _, isHeader := rec.(*Header); isHeader == w.seen && !w.bare {
		return w.fail(errHeader)
	}
	w.seen = true
	if err := rec.Validate(); err != nil {
		return w.fail(err)
	}
	b := w.encode(rec)
	if len(b) > MaxRecord {
		return w.fail(fmt.Errorf("a %s record is larger than %d bytes", rec.kind(), MaxRecord))
	}
	if _, err := w.out.Write(b); err != nil {
		return w.fail(err)
	}
	return nil
}

// encode encodes a valid record. The bytes are valid until the next call.
func (w *Writer) encode(rec Record) []byte {
	if w.msgp != nil {
		w.msgp.buf.Reset()
		encode(w.msgp, rec)
		return w.msgp.buf.Bytes()
	}
	w.json.buf, w.json.first = w.json.buf[:0], true
	encode(w.json, rec)
	w.json.buf = append(w.json.buf, '\n')
	return w.json.buf
}

// Line encodes one record as a line of JSON, as in a stream.
func Line(rec Record) (string, error) {
	if err := rec.Validate(); err != nil {
		return "", err
	}
	e := &jsonEncoder{first: true}
	encode(e, rec)
	return string(e.buf), nil
}
