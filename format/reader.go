package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// readBuffer is the number of bytes asked for by one read: what a pipe holds.
const readBuffer = 64 << 10

// Reader reads a stream in either encoding, which it tells by the first byte. It
// is a Source: records come out valid and in an order that the format allows,
// and io.EOF only after the end record.
type Reader struct {
	name  string
	in    *recordReader
	enc   Encoding
	json  jsonDecoder
	line  []byte // what of the input the JSON decoder has not used yet
	msgp  *msgpackDecoder
	names *interner
	n     int64 // records read
	order order
	err   error
}

// NewReader returns a reader of the stream in r. The name stands in errors.
func NewReader(r io.Reader, name string) *Reader {
	return &Reader{
		name:  name,
		in:    &recordReader{r: bufio.NewReaderSize(r, readBuffer)},
		names: newInterner(),
	}
}

// Encoding tells the stream's encoding. Before the first record it waits for the
// first byte; it is JSON where there is none.
func (r *Reader) Encoding() Encoding {
	r.detect()
	if r.enc == "" {
		return JSON
	}
	return r.enc
}

// Next returns the next record, and io.EOF once the end record was read and
// nothing stands behind it. The first error is kept.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	rec, err := r.next()
	if err == nil {
		r.n++
		if _, end := rec.(End); !end {
			return rec, nil
		}
		if err = r.atEnd(); err == nil {
			err = io.EOF
		}
	}
	r.err = r.describe(err)
	return nil, r.err
}

// All hands out the records up to the end; an error is the last pair.
func (r *Reader) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			rec, err := r.Next()
			if err == io.EOF {
				return
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

func (r *Reader) next() (Record, error) {
	if err := r.detect(); err != nil {
		return nil, err
	}
	var rec Record
	var err error
	if r.enc == Msgpack {
		rec, err = r.nextMsgpack()
	} else {
		rec, err = r.nextJSON()
	}
	if err != nil {
		return nil, err
	}
	if l, ok := rec.(*Layer); ok && l.Index == indexAbsent {
		l.Index = r.order.layers
	}
	if v, ok := rec.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, err
		}
	}
	return rec, r.order.check(rec)
}

// describe names the stream and the record where an error belongs.
func (r *Reader) describe(err error) error {
	if err == io.EOF {
		return err
	}
	e := &Error{Name: r.name, Record: r.n + 1, Err: err}
	var f *fault
	switch {
	case errors.Is(err, errShort):
		e.Class, e.Err = ClassTruncated, ErrTruncated
	case errors.As(err, &f):
		e.Class = f.class
	default:
		return fmt.Errorf("reading %s: %w", r.name, err)
	}
	return e
}

// detect looks at the first byte of the stream.
func (r *Reader) detect() error {
	if r.enc != "" {
		return nil
	}
	c, err := r.in.r.Peek(1)
	if err == io.EOF {
		return errShort
	}
	if err != nil {
		return err
	}
	switch {
	case isMap(c[0]):
		r.enc = Msgpack
		r.msgp = newMsgpackDecoder(r.in)
	case c[0] == '{' || isSpace(c[0]):
		r.enc = JSON
	default:
		return syntaxf("stream starts with %q: that is neither JSON nor a msgpack map", c[0])
	}
	return nil
}

func (r *Reader) nextMsgpack() (Record, error) {
	r.in.used = 0
	r.msgp.reset()
	rec := decode(r.msgp, r.names)
	return rec, r.msgp.failed()
}

// nextJSON reads a record that most likely is one line. Where it is not, the
// lines up to its end are gathered first.
func (r *Reader) nextJSON() (Record, error) {
	for len(r.line) == 0 {
		line, err := r.in.readLine()
		if err != nil {
			return nil, err
		}
		r.line = bytes.TrimLeft(line, " \t\r\n")
	}
	r.json.reset(r.line)
	rec := decode(&r.json, r.names)
	if errors.Is(r.json.err, errShort) {
		whole, err := r.in.gather(r.line)
		if err != nil {
			return nil, err
		}
		r.line = whole
		r.json.reset(r.line)
		rec = decode(&r.json, r.names)
	}
	if r.json.err != nil {
		return nil, r.json.err
	}
	r.line = bytes.TrimLeft(r.line[r.json.pos:], " \t\r\n")
	return rec, nil
}

// atEnd checks that nothing but white space follows the end record.
func (r *Reader) atEnd() error {
	after := faultf(ClassOrder, "there is more after the end record")
	if r.enc == Msgpack {
		if _, err := r.in.r.ReadByte(); err != io.EOF {
			return errors.Join(err, after)
		}
		return nil
	}
	for {
		if len(r.line) > 0 {
			return after
		}
		line, err := r.in.readLine()
		if errors.Is(err, errShort) {
			return nil
		}
		if err != nil {
			return err
		}
		r.line = bytes.TrimLeft(line, " \t\r\n")
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
