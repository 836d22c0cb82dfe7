package format

import (
	"errors"
	"fmt"
	"io"
)

// Reader reads a stream in either encoding, which it detects by the first byte. It is a Source:
// records are valid and in a valid order, and io.EOF comes only after the end record.
type Reader struct {
	name  string
	in    *input
	rest  []byte // bytes that are not decoded yet
	enc   Encoding
	dec   decoder
	names *interner
	n     int64 // records read
	order order
	err   error
}

// NewReader returns a reader of the stream in r. Errors contain the name.
func NewReader(r io.Reader, name string) *Reader {
	return &Reader{name: name, in: newInput(r), names: newInterner()}
}

// NewSequenceReader returns a reader of a sequence of records, such as a plan (SPEC.md, section
// 14). Each record must be valid, but they can be in any order. Header and end records are optional
// and returned like others. io.EOF is the end of the input after a complete record.
func NewSequenceReader(r io.Reader, name string) *Reader {
	s := NewReader(r, name)
	s.order.bare = true
	return s
}

// Encoding returns the stream's encoding. It reads the first byte if necessary. An empty stream is
// JSON.
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

// Next returns the next record, or io.EOF after the end record if nothing follows it. The first
// error is kept.
//
// Records can share lists of components: replace them, do not change them in place.
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

// errCut replaces ErrTruncated in a sequence, which needs no end record.
var errCut = errors.New("the next record is incomplete")

// bareEnd returns the error for a sequence that has no further record.
func (r *Reader) bareEnd(err error) error {
	if r.order.bare && errors.Is(err, errShort) {
		return io.EOF
	}
	return err
}

// detect detects the encoding by the first byte.
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
		return syntaxf("stream starts with byte %#02x, which begins neither a JSON object nor a msgpack map", c)
	}
	return nil
}

// fill makes rest start with the next record. errShort means that there is none.
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

// record decodes the next record. If rest ends inside it, which is rare because reads are large, it
// gathers the missing bytes first.
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

// gathered decodes a record that is not complete in rest. It tries again each time the number of
// bytes has doubled. So a fault in the first bytes is found early, at no more than twice the cost,
// and the error does not depend on the sizes of reads.
func (r *Reader) gathered() (Record, error) {
	scan := r.dec.newScanner()
	r.rest = r.in.begin(r.rest)
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

// atEnd checks that only white space follows the end record.
func (r *Reader) atEnd() error {
	switch err := r.fill(); {
	case err == nil:
		return orderf("data after the end record")
	case errors.Is(err, errShort):
		return nil
	default:
		return err
	}
}

// describe adds the stream's name and the record's number to an error.
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
