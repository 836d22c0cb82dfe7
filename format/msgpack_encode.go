package format

import (
	"bytes"

	"github.com/vmihailenco/msgpack/v5"
)

// msgpackEncoder writes msgpack with the shortest form of each value. It writes to a buffer, which
// never fails.
type msgpackEncoder struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
}

func newMsgpackEncoder() *msgpackEncoder {
	e := &msgpackEncoder{}
	e.enc = msgpack.NewEncoder(&e.buf)
	return e
}

func (e *msgpackEncoder) beginMap(n int)  { _ = e.enc.EncodeMapLen(n) }
func (e *msgpackEncoder) key(name string) { _ = e.enc.EncodeString(name) }
func (e *msgpackEncoder) endMap()         {}
func (e *msgpackEncoder) beginList(n int) { _ = e.enc.EncodeArrayLen(n) }
func (e *msgpackEncoder) item()           {}
func (e *msgpackEncoder) endList()        {}
func (e *msgpackEncoder) text(s string)   { _ = e.enc.EncodeString(s) }
func (e *msgpackEncoder) boolean(b bool)  { _ = e.enc.EncodeBool(b) }
func (e *msgpackEncoder) integer(n int64) { _ = e.enc.EncodeInt(n) }

func (e *msgpackEncoder) bytes(b []byte) {
	if b == nil {
		b = []byte{} // nil would become msgpack's nil
	}
	_ = e.enc.EncodeBytes(b)
}
