package format

import (
	"errors"
	"io"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// msgpackDecoder reads msgpack values of any width. Lengths are looked at before
// anything of that size is read.
type msgpackDecoder struct {
	in   *recordReader
	dec  *msgpack.Decoder
	left [4]int // elements left in the open maps and lists
	top  int    // how many are open
	err  error
	key  []byte
}

func newMsgpackDecoder(in *recordReader) *msgpackDecoder {
	return &msgpackDecoder{in: in, dec: msgpack.NewDecoder(in)}
}

func (d *msgpackDecoder) reset() { d.top, d.err = 0, nil }

func (d *msgpackDecoder) fail(err error) {
	if d.err == nil && err != nil {
		d.err = err
	}
}

func (d *msgpackDecoder) failed() error { return d.err }

// fault keeps an error of the library, which is about the bytes, or of reading.
func (d *msgpackDecoder) fault(err error) bool {
	if err != nil {
		d.fail(d.classify(err))
	}
	return err != nil
}

func (d *msgpackDecoder) classify(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	var known *fault
	if errors.As(err, &known) || d.in.err != nil {
		return err
	}
	return valuef("%w", err)
}

// is reports whether the next code is one that ok takes, and fails if not.
func (d *msgpackDecoder) is(what string, ok func(c byte) bool) bool {
	if d.err != nil {
		return false
	}
	c, err := d.dec.PeekCode()
	if d.fault(err) {
		return false
	}
	if !ok(c) {
		d.fail(valuef("%s expected, found code %#02x", what, c))
		return false
	}
	return true
}

func (d *msgpackDecoder) open(n int, err error) {
	if d.fault(err) {
		return
	}
	if n > MaxRecord {
		d.fail(limitf("a map or list of %d elements", n))
		return
	}
	if d.top == len(d.left) {
		d.fail(valuef("values are nested too deep"))
		return
	}
	d.left[d.top] = n
	d.top++
}

func isMap(c byte) bool {
	return msgpcode.IsFixedMap(c) || c == msgpcode.Map16 || c == msgpcode.Map32
}

func isList(c byte) bool {
	return msgpcode.IsFixedArray(c) || c == msgpcode.Array16 || c == msgpcode.Array32
}

func (d *msgpackDecoder) beginMap() {
	if d.is("a map", isMap) {
		d.open(d.dec.DecodeMapLen())
	}
}

func (d *msgpackDecoder) beginList() {
	if d.is("an array", isList) {
		d.open(d.dec.DecodeArrayLen())
	}
}

func (d *msgpackDecoder) nextItem() bool {
	if d.err != nil || d.top == 0 {
		return false
	}
	if d.left[d.top-1] == 0 {
		d.top--
		return false
	}
	d.left[d.top-1]--
	return true
}

func (d *msgpackDecoder) nextKey() ([]byte, bool) {
	if !d.nextItem() {
		return nil, false
	}
	d.key = d.read(d.key[:0], "a key", msgpcode.IsString, MaxText)
	return d.key, d.err == nil
}

func (d *msgpackDecoder) null() bool {
	if d.err != nil {
		return false
	}
	c, err := d.dec.PeekCode()
	if d.fault(err) || c != msgpcode.Nil {
		return false
	}
	return !d.fault(d.dec.DecodeNil())
}

// read appends the bytes of a string or bin to buf.
func (d *msgpackDecoder) read(buf []byte, what string, ok func(byte) bool, most int) []byte {
	if !d.is(what, ok) {
		return nil
	}
	n, err := d.dec.DecodeBytesLen()
	if d.fault(err) {
		return nil
	}
	if n > most {
		d.fail(limitf("%s is longer than %d bytes", what, most))
		return nil
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if d.fault(d.dec.ReadFull(buf)) {
		return nil
	}
	return buf
}

func (d *msgpackDecoder) text(most int) string {
	d.key = d.read(d.key[:0], "a string", msgpcode.IsString, most)
	s := string(d.key)
	if Text(s) != s {
		d.fail(valuef("string %q is not UTF-8", clip(s)))
	}
	return s
}

func (d *msgpackDecoder) bytes(most int) []byte {
	return d.read([]byte{}, "a bin", msgpcode.IsBin, most)
}

func isInteger(c byte) bool {
	return msgpcode.IsFixedNum(c) || c >= msgpcode.Uint8 && c <= msgpcode.Int64
}

func (d *msgpackDecoder) integer() int64 {
	if !d.is("an integer", isInteger) {
		return 0
	}
	if c, _ := d.dec.PeekCode(); c == msgpcode.Uint64 {
		n, err := d.dec.DecodeUint64()
		if !d.fault(err) && n > MaxInt {
			d.fail(limitf("%d is beyond 2^53-1", n))
		}
		return int64(min(n, MaxInt))
	}
	n, err := d.dec.DecodeInt64()
	if !d.fault(err) && !inRange(n) {
		d.fail(limitf("%d is beyond 2^53-1", n))
	}
	return n
}

func (d *msgpackDecoder) boolean() bool {
	if !d.is("true or false", func(c byte) bool { return c == msgpcode.True || c == msgpcode.False }) {
		return false
	}
	b, err := d.dec.DecodeBool()
	d.fault(err)
	return b
}
