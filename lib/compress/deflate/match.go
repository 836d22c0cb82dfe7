package deflate

import (
	"encoding/binary"
	"math/bits"
)

// Bounds of the format, in bytes.
const (
	minMatch = 3
	maxMatch = 258
	window   = 1 << 15
)

// maxShortDistance is how far back a match of three bytes may point: beyond, its distance takes
// about as many bits as three literals.
const maxShortDistance = 1 << 12

const (
	hashBits      = 15
	shortHashBits = 12
)

// MaxPiece is the most bytes of input that Append takes, with what is before them.
const MaxPiece = 1 << 21

// A text is a buffer of a fixed size, so that places in it need no check: that is an eighth of the
// time.
type text [MaxPiece + 8]byte

// load returns the four bytes at i.
func (t *text) load(i int) uint32 {
	i &= MaxPiece - 1
	return binary.LittleEndian.Uint32(t[i : i+4])
}

// load8 returns the eight bytes at i.
func (t *text) load8(i int) uint64 {
	i &= MaxPiece - 1
	return binary.LittleEndian.Uint64(t[i : i+8])
}

// A finder knows where in a text each four bytes have occurred, in chains from the newest place to
// older ones, and where each three bytes were last. Places are kept by their lowest 16 bits: one
// that is too old looks like another, which costs a comparison and nothing else.
type finder struct {
	text  text
	size  int
	head  [1 << hashBits]uint16      // the newest place of the hash
	short [1 << shortHashBits]uint16 // the same for three bytes
	prev  [window]uint16             // how far before a place the next older one is
}

func (f *finder) reset(buf []byte) {
	f.size = copy(f.text[:MaxPiece], buf)
	clear(f.head[:])
	clear(f.short[:])
}

// insert adds the place pos, which begins with v. It returns the distances to the last places with
// the same hash of four bytes, and of three.
func (f *finder) insert(pos int, v uint32) (distance, shortDistance uint16) {
	head, short := &f.head[v*0x9e3779b1>>(32-hashBits)], &f.short[v<<8*0x9e3779b1>>(32-shortHashBits)]
	place := uint16(pos)
	distance, shortDistance = place-*head, place-*short
	*head, *short = place, place
	f.prev[place%window] = distance
	return distance, shortDistance
}

// skip adds n places from pos on without a search.
func (f *finder) skip(pos, n int) {
	for end := min(pos+n, f.size-3); pos < end; pos++ {
		f.insert(pos, f.text.load(pos))
	}
}

// find adds the place pos and returns the longest match for it that is longer than least, or a
// length of 0. It tries depth places, and takes a match of nice bytes at once.
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
	last := least - 3 // the last byte decides, so it is among the first four to be compared
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

// same returns how many bytes at a and at b are equal, most of them at most.
func (f *finder) same(a, b, most int) int {
	for n := 0; n < most; n += 8 {
		if diff := f.text.load8(a+n) ^ f.text.load8(b+n); diff != 0 {
			return min(n+bits.TrailingZeros64(diff)/8, most)
		}
	}
	return most
}
