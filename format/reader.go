package format

import (
	"errors"
	"fmt"
	"io"
)

// Reader reads a stream in either encoding, which it detects from the first byte. It is a Source:
// its records are valid and in a valid order, and it returns io.EOF only after the end record.
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

// NewReader returns a reader for the stream in r. Errors contain the name.
func NewReader(r io.Reader, name string) *Reader {
	return &Reader{name: name, in: newInput(r), names: newInterner()}
}

// NewSequenceReader returns a reader for a sequence of records, such as a plan (SPEC.md, section
// 14). Each record must be valid, but the records can be in any order. Header and end records are
// optional and are returned like the others. The reader returns io.EOF if the input ends after a
// complete record.
func NewSequenceReader(r io.Reader, name string) *Reader {
	s := NewReader(r, name)
	s.order.bare = true
	return s
}

// Encoding returns the stream's encoding. It reads the first byte if necessary. An empty stream
// counts as JSON.
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

// Next returns the next record. After the end record it returns io.EOF, unless more data follows.
// Later calls return the first error again.
//
// Records can share lists of components. Replace such a list instead of changing its elements.
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

// errCut replaces ErrTruncated in a sequence, because a sequence needs no end record.
var errCut = errors.New("the next record is incomplete")

// bareEnd returns the error for a sequence that contains no further record.
func (r *Reader) bareEnd(err error) error {
	if r.order.bare && errors.Is(err, errShort) {
		return io.EOF
	}
	return err
}

// detect detects the encoding from the first byte.
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
		return syntaxf("stream starts with byte %#02x, so it is neither JSON nor msgpack", c)
	}
	return nil
}

// fill makes rest start with the next record. It returns errShort if no record is left.
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

// record decodes the next record. If rest ends inside the record, it gathers the missing bytes
// first. That is rare, because reads are large.
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
// bytes has doubled. So it finds a fault in the first bytes early, at no more than twice the cost,
// and its error does not depend on the sizes of reads.
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
