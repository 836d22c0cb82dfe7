package format

import (
	"errors"
	"fmt"
	"io"
	"iter"
)

// Reader reads a stream in either encoding, which it tells by the first byte. It
// is a Source: records come out valid and in an order that the format allows,
// and io.EOF only after the end record.
type Reader struct {
	name  string
	in    *input
	rest  []byte // what of the input is not decoded yet
	enc   Encoding
	dec   decoder
	names *interner
	n     int64 // records read
	order order
	err   error
}

// NewReader returns a reader of the stream in r. The name stands in errors.
func NewReader(r io.Reader, name string) *Reader {
	return &Reader{name: name, in: newInput(r), names: newInterner()}
}

// NewSequenceReader returns a reader of bare records, as a plan is (SPEC.md,
// section 14): each valid by itself, in any order, with or without a header and
// end records, which come out like all others. io.EOF is the end of the input
// behind a whole record.
func NewSequenceReader(r io.Reader, name string) *Reader {
	s := NewReader(r, name)
	s.order.bare = true
	return s
}

// Encoding tells the stream's encoding. Before the first record it waits for the
// first byte; it is JSON where there is none.
func (r *Reader) Encoding() Encoding {
	if r.err == nil && r.dec == nil {
		if err := r.detect(); err != nil {
			r.err = r.describe(err)
		}
	}
	if r.enc == "" {
		return JSON
	}
	return r.enc
}

// Next returns the next record, and io.EOF once the end record was read and
// nothing stands behind it. The first error is kept.
//
// Lists of components may be shared between records: they are to be replaced,
// not changed in place.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	rec, err := r.next()
	if err == nil {
		r.n++
		if _, end := rec.(End); !end || r.order.bare {
			return rec, nil
		}
		if err = r.atEnd(); err == nil {
			r.err = io.EOF
			return nil, io.EOF
		}
	}
	if err != io.EOF {
		err = r.describe(err)
	}
	r.err = err
	return nil, err
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
	if r.dec == nil {
		if err := r.detect(); err != nil {
			return nil, r.bareEnd(err)
		}
	}
	if err := r.fill(); err != nil {
		return nil, r.bareEnd(err)
	}
	rec, err := r.record()
	if err != nil {
		return nil, err
	}
	if l, ok := rec.(*Layer); ok && l.Index == indexAbsent {
		l.Index = r.order.layers
	}
	if err := rec.Validate(); err != nil {
		return nil, err
	}
	return rec, r.order.check(rec)
}

// errCut is what ErrTruncated is to a bare sequence, which needs no end record.
var errCut = errors.New("the next record is not whole")

// bareEnd is the error for an input that has no further record.
func (r *Reader) bareEnd(err error) error {
	if r.order.bare && errors.Is(err, errShort) {
		return io.EOF
	}
	return err
}

// detect looks at the first byte of the stream.
func (r *Reader) detect() error {
	b, err := r.in.more()
	if err != nil {
		return err
	}
	r.rest = b
	switch c := b[0]; {
	case msgpackCodes[c].kind == msgpackMap:
		r.enc, r.dec = Msgpack, &msgpackDecoder{}
	case c == '{' || isSpace(c):
		r.enc, r.dec = JSON, &jsonDecoder{}
	default:
		return syntaxf("stream starts with byte %#02x: that is neither a JSON object nor a msgpack map", c)
	}
	return nil
}

// fill makes the rest start with the next record; errShort says that none
// follows.
func (r *Reader) fill() error {
	for {
		if r.rest = r.dec.between(r.rest); len(r.rest) > 0 {
			return nil
		}
		b, err := r.in.more()
		if err != nil {
			return err
		}
		r.rest = b
	}
}

// record takes a record off the rest. Where the rest ends inside it, which is
// rare since much is read at once, what is missing is gathered first.
func (r *Reader) record() (Record, error) {
	rec, err := r.decode()
	if errors.Is(err, errShort) {
		rec, err = r.gathered()
	}
	if err != nil {
		return nil, err
	}
	r.rest = r.rest[r.dec.end():]
	return rec, nil
}

// gathered reads a record that the rest only starts. It looks at the record
// again whenever there is twice as much of it: so a fault in its first bytes is
// found before all of it was taken in, at no more than the cost of two readings,
// and is the same fault however the bytes came in.
func (r *Reader) gathered() (Record, error) {
	scan := r.dec.newScanner()
	r.rest = r.in.hold(r.rest)
	for {
		whole, stop := r.in.gather(scan, 2*len(r.rest)+readBuffer)
		if whole == nil {
			return nil, stop
		}
		r.rest = whole
		rec, err := r.decode()
		short := errors.Is(err, errShort)
		switch {
		case err != nil && !short:
			return nil, err
		case errors.Is(stop, errMore):
			continue
		case stop != nil:
			return nil, stop
		case short:
			return nil, syntaxf("record ends too soon")
		}
		return rec, nil
	}
}

func (r *Reader) decode() (Record, error) {
	r.dec.reset(r.rest)
	rec := decode(r.dec, r.names)
	return rec, r.dec.failed()
}

// atEnd checks that nothing but white space follows the end record.
func (r *Reader) atEnd() error {
	switch err := r.fill(); {
	case err == nil:
		return orderf("there is more after the end record")
	case errors.Is(err, errShort):
		return nil
	default:
		return err
	}
}

// describe names the stream and the record where an error belongs.
func (r *Reader) describe(err error) error {
	e := &Error{Name: r.name, Record: r.n + 1, Err: err}
	var f *fault
	switch {
	case errors.Is(err, errShort):
		e.Class, e.Err = ClassTruncated, ErrTruncated
		if r.order.bare {
			e.Err = errCut
		}
	case errors.As(err, &f):
		e.Class = f.class
	default:
		return fmt.Errorf("reading %s: %w", r.name, err)
	}
	return e
}
