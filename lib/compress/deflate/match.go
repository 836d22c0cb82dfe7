package deflate

import (
	"encoding/binary"
	"math/bits"
)

// Limits of the format, in bytes.
const (
	minMatch = 3
	maxMatch = 258
	window   = 1 << 15
)

// maxShortDistance is the maximum distance of a match of three bytes. A larger distance takes about
// as many bits as three literals.
const maxShortDistance = 1 << 12

const (
	hashBits      = 15
	shortHashBits = 12
)

// maxPiece is the maximum size of buf in Append, in bytes.
const maxPiece = 1 << 21

// A text is a buffer with a fixed size, so that accesses need no bounds check. That saves one
// eighth of the time.
type text [maxPiece + 8]byte

// load returns the four bytes at i.
func (t *text) load(i int) uint32 {
	i &= maxPiece - 1
	return binary.LittleEndian.Uint32(t[i : i+4])
}

// load8 returns the eight bytes at i.
func (t *text) load8(i int) uint64 {
	i &= maxPiece - 1
	return binary.LittleEndian.Uint64(t[i : i+8])
}

// A finder stores the positions of all four-byte strings in a text, in chains from the newest to
// the oldest, and the newest position of each three-byte string. It stores only the lowest 16 bits
// of a position. A position that is too old is mistaken for another position, which only costs a
// comparison.
type finder struct {
	text  text
	size  int
	head  [1 << hashBits]uint16      // newest position for each hash of four bytes
	short [1 << shortHashBits]uint16 // newest position for each hash of three bytes
	prev  [window]uint16             // distance from a position to the next older position
}

func (f *finder) reset(buf []byte) {
	f.size = copy(f.text[:maxPiece], buf)
	clear(f.head[:])
	clear(f.short[:])
}

// insert adds the position pos, at which v begins. It returns the distances to the most recent
// positions with the same hash of four bytes and with the same hash of three bytes.
func (f *finder) insert(pos int, v uint32) (distance, shortDistance uint16) {
	head, short := &f.head[v*0x9e3779b1>>(32-hashBits)], &f.short[v<<8*0x9e3779b1>>(32-shortHashBits)]
	place := uint16(pos)
	distance, shortDistance = place-*head, place-*short
	*head, *short = place, place
	f.prev[place%window] = distance
	return distance, shortDistance
}

// skip adds n positions, starting at pos, without a search.
func (f *finder) skip(pos, n int) {
	for end := min(pos+n, f.size-3); pos < end; pos++ {
		f.insert(pos, f.text.load(pos))
	}
}

// find adds the position pos and returns its longest match that is longer than least, or a length
// of 0 if there is none. It tries depth positions, and returns immediately if it finds a match of
// nice bytes.
func (f *finder) find(pos, least, depth, nice int) (length, distance int) {
	most := min(maxMatch, f.size-pos)
	if most < 4 {
		return 0, 0
	}
	v := f.text.load(pos)
	d, short := f.insert(pos, v)
	if least < minMatch {
		at := pos - int(short)
		if at >= 0 && short-1 < maxShortDistance && (f.text.load(at)^v)<<8 == 0 {
			length, distance = minMatch, int(short)
		}
		least = minMatch
	}
	if most <= least {
		return length, distance
	}
	nice = min(nice, most)
	reach := min(pos, window-1)
	last := least - 3 // a longer match also contains these four bytes, so they are compared first
	want := f.text.load(pos + last)
	for total := int(d); d != 0 && total <= reach; total += int(d) {
		at := pos - total
		if f.text.load(at+last) == want {
			if n := f.same(at, pos, most); n > least {
				length, distance, least = n, total, n
				if n >= nice {
					break
				}
				last = least - 3
				want = f.text.load(pos + last)
			}
		}
		if depth--; depth == 0 {
			break
		}
		d = f.prev[at%window]
	}
	return length, distance
}

// same returns the number of equal bytes at a and b, or most if that is smaller.
func (f *finder) same(a, b, most int) int {
	for n := 0; n < most; n += 8 {
		if diff := f.text.load8(a+n) ^ f.text.load8(b+n); diff != 0 {
			return min(n+bits.TrailingZeros64(diff)/8, most)
		}
	}
	return most
}
