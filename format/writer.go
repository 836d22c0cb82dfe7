package format

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Encoding is how records are spelled.
type Encoding string

// The encodings.
const (
	JSON    Encoding = "json"
	Msgpack Encoding = "msgpack"
)

// ParseEncoding reads the name of an encoding.
func ParseEncoding(s string) (Encoding, error) {
	switch e := Encoding(s); e {
	case JSON, Msgpack:
		return e, nil
	}
	return "", fmt.Errorf("format %q is unknown: json or msgpack", s)
}

// writeBuffer is the number of bytes gathered for one write: what a pipe holds.
const writeBuffer = 64 << 10

// Writer writes a stream. It is a Sink.
type Writer struct {
	out  *bufio.Writer
	json *jsonEncoder
	msgp *msgpackEncoder
	seen bool
	err  error
}

// NewWriter returns a writer of a stream in one encoding.
func NewWriter(w io.Writer, enc Encoding) *Writer {
	wr := &Writer{out: bufio.NewWriterSize(w, writeBuffer)}
	if enc == Msgpack {
		wr.msgp = newMsgpackEncoder()
	} else {
		wr.json = &jsonEncoder{}
	}
	return wr
}

// Write writes one record, which has to be valid; the first one is the header.
// The first error is kept.
func (w *Writer) Write(rec Record) error {
	if w.err == nil {
		w.err = w.write(rec)
	}
	return w.err
}

func (w *Writer) write(rec Record) error {
	if _, isHeader := rec.(*Header); isHeader == w.seen {
		return errors.New("writing stream: the header has to be the first record, once")
	}
	w.seen = true
	if v, ok := rec.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("writing stream: %w", err)
		}
	}
	var b []byte
	if w.msgp != nil {
		w.msgp.buf.Reset()
		encode(w.msgp, rec)
		b = w.msgp.buf.Bytes()
	} else {
		w.json.buf, w.json.first = w.json.buf[:0], true
		encode(w.json, rec)
		w.json.buf = append(w.json.buf, '\n')
		b = w.json.buf
	}
	if len(b) > MaxRecord {
		return fmt.Errorf("writing stream: a %s record has more than %d bytes", rec.kind(), MaxRecord)
	}
	if _, err := w.out.Write(b); err != nil {
		return fmt.Errorf("writing stream: %w", err)
	}
	return nil
}

// Finish seals the stream with its end record. A stream without it is one that
// failed, so it is not to be called after an error.
func (w *Writer) Finish() error {
	if err := w.Write(End{}); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		w.err = fmt.Errorf("writing stream: %w", err)
	}
	return w.err
}
