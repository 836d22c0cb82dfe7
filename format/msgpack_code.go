package format

import "encoding/binary"

// msgpackKind is the kind of value that starts with a msgpack code.
type msgpackKind uint8

const (
	msgpackUnused msgpackKind = iota // 0xc1
	msgpackNil
	msgpackFalse
	msgpackTrue
	msgpackUint
	msgpackInt
	msgpackStr
	msgpackBin
	msgpackArray
	msgpackMap
	msgpackForeign // floats and extensions, which no record contains
)

var msgpackKindNames = [...]string{
	"a code that is never used", "nil", "false", "true", "an integer", "an integer", "a str", "a bin",
	"an array", "a map", "a float or an extension",
}

func (k msgpackKind) String() string { return msgpackKindNames[k] }

// msgpackCode describes where a code's number is stored. It is in those bits of the code that are
// set in mask, or big-endian in the next width bytes.
type msgpackCode struct {
	kind  msgpackKind
	mask  byte
	width uint8
}

// msgpackCodes follows the table "Overview" in the msgpack specification. The library also defines
// these codes, but as variables, which cannot be used in a switch.
var msgpackCodes = func() (t [256]msgpackCode) {
	fill := func(low, high int, c msgpackCode) {
		for i := low; i <= high; i++ {
			t[i] = c
		}
	}
	widths := func(low int, kind msgpackKind, list ...uint8) {
		for i, w := range list {
			t[low+i] = msgpackCode{kind: kind, width: w}
		}
	}
	fill(0x00, 0x7f, msgpackCode{kind: msgpackUint, mask: 0x7f})
	fill(0x80, 0x8f, msgpackCode{kind: msgpackMap, mask: 0x0f})
	fill(0x90, 0x9f, msgpackCode{kind: msgpackArray, mask: 0x0f})
	fill(0xa0, 0xbf, msgpackCode{kind: msgpackStr, mask: 0x1f})
	fill(0xc0, 0xc0, msgpackCode{kind: msgpackNil})
	fill(0xc2, 0xc2, msgpackCode{kind: msgpackFalse})
	fill(0xc3, 0xc3, msgpackCode{kind: msgpackTrue})
	widths(0xc4, msgpackBin, 1, 2, 4)
	fill(0xc7, 0xcb, msgpackCode{kind: msgpackForeign})
	widths(0xcc, msgpackUint, 1, 2, 4, 8)
	widths(0xd0, msgpackInt, 1, 2, 4, 8)
	fill(0xd4, 0xd8, msgpackCode{kind: msgpackForeign})
	widths(0xd9, msgpackStr, 1, 2, 4)
	widths(0xdc, msgpackArray, 2, 4)
	widths(0xde, msgpackMap, 2, 4)
	fill(0xe0, 0xff, msgpackCode{kind: msgpackInt, mask: 0xff})
	return t
}()

// msgpackHead reads the code at the start of b and its number, which is a value, a length or a
// count. The size covers both. It is 0 if b is too short.
func msgpackHead(b []byte) (code msgpackCode, n uint64, size int) {
	if len(b) == 0 {
		return code, 0, 0
	}
	code = msgpackCodes[b[0]]
	size = 1 + int(code.width)
	if len(b) < size {
		return code, 0, 0
	}
	switch code.width {
	case 0:
		n = uint64(b[0] & code.mask)
	case 1:
		n = uint64(b[1])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b[1:]))
	case 8:
		n = binary.BigEndian.Uint64(b[1:])
	}
	return code, n, size
}

// msgpackScanner counts the values that a record still lacks. It needs no stack for nested values,
// because a map or array only adds to the count.
type msgpackScanner struct {
	pos  int
	seen bool  // the record's own map has begun
	open int64 // number of missing values
}

func (s *msgpackScanner) closed(buf []byte) int {
	for s.open > 0 || !s.seen {
		code, n, size := msgpackHead(buf[s.pos:])
		if size == 0 {
			return 0
		}
		switch code.kind {
		case msgpackStr, msgpackBin:
			if n > uint64(len(buf)-s.pos-size) {
				return 0
			}
			size += int(n)
		case msgpackArray:
			s.open += int64(n)
		case msgpackMap:
			s.open += 2 * int64(n)
		case msgpackUnused, msgpackForeign:
			return s.pos + 1 // no valid record continues like this; the decoder reports the fault
		}
		if s.seen {
			s.open--
		}
		s.seen = true
		s.pos += size
	}
	return s.pos
}
