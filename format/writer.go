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
	seen bool // the header
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

var (
	errHeader   = errors.New("the header has to be the first record, once")
	errEnd      = errors.New("the end record is what Finish writes")
	errFinished = errors.New("the stream is finished")
)

// Write writes one record, which has to be valid; the first one is the header.
// The first error is kept. The order of records is the caller's affair: a reader
// checks it.
func (w *Writer) Write(rec Record) error {
	if _, end := rec.(End); end && w.err == nil {
		return w.fail(errEnd)
	}
	return w.write(rec)
}

// Finish seals the stream with its end record. A stream without it is one that
// failed, so it is not to be called after an error.
func (w *Writer) Finish() error {
	if err := w.write(End{}); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return w.fail(err)
	}
	_ = w.fail(errFinished) // of what is written from here on
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
	if _, isHeader := rec.(*Header); isHeader == w.seen {
		return w.fail(errHeader)
	}
	w.seen = true
	if err := rec.Validate(); err != nil {
		return w.fail(err)
	}
	b := w.encode(rec)
	if len(b) > MaxRecord {
		return w.fail(fmt.Errorf("a %s record has more than %d bytes", rec.kind(), MaxRecord))
	}
	if _, err := w.out.Write(b); err != nil {
		return w.fail(err)
	}
	return nil
}

// encode spells a valid record. The bytes are good until the next call.
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

// Line spells one record as JSON, as it stands on its line of a stream.
func Line(rec Record) (string, error) {
	if err := rec.Validate(); err != nil {
		return "", err
	}
	e := &jsonEncoder{first: true}
	encode(e, rec)
	return string(e.buf), nil
}
