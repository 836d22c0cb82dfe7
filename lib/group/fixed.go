package group

import "math/bits"

// Chances are fixed point: a chance of 1 is one, so a product of two fits in
// 64 bits and every architecture rounds alike.
const (
	oneBits = 30
	one     = uint64(1) << oneBits
	// hazardBits is the precision of a hazard: one unit is 2^-16 halvings.
	hazardBits = 16
	// maxHazard is the hazard beyond which a chance of survival is below 2^-30.
	maxHazard = uint64(oneBits) << hazardBits
)

// times multiplies two chances.
func times(a, b uint64) uint64 { return a * b >> oneBits }

// share gives size times chance, rounded down; size must not be negative.
func share(size int64, chance uint64) int64 {
	hi, lo := bits.Mul64(uint64(size), chance)
	return int64(hi<<(64-oneBits) | lo>>oneBits)
}

// nearestPower is the n for which 2^n is nearest to x > 0 on a log scale.
func nearestPower(x uint64) int {
	n := bits.Len64(x) - 1
	hi, lo := bits.Mul64(x, x)
	length := bits.Len64(lo)
	if hi > 0 {
		length = 64 + bits.Len64(hi)
	}
	if length > 2*n+1 { // x*x >= 2^(2n+1)
		n++
	}
	return n
}

// hazard gives -log2(q) for a chance 0 < q <= one: hazards of independent
// components add up where their chances would be multiplied.
func hazard(q uint64) uint64 {
	if q == 0 {
		return maxHazard
	}
	n := bits.Len64(q) - 1 // q = 2^n * x with 1 <= x < 2
	x := q << (62 - n)     // x scaled to 2^62
	var frac uint64
	for range hazardBits {
		hi, lo := bits.Mul64(x, x) // x*x scaled to 2^124
		x = hi<<2 | lo>>62
		frac <<= 1
		if x >= 1<<63 {
			frac |= 1
			x >>= 1
		}
	}
	return uint64(oneBits)<<hazardBits - (uint64(n)<<hazardBits + frac)
}

// halves[k][i] is 2^-(i * 256^k / 2^16) as a chance, scaled to 2^62.
var halves = powers()

func powers() (t [2][256]uint64) {
	const scale = 62
	// root[b] is 2^-(2^b / 2^16): the square of root[b] is root[b+1].
	var root [hazardBits]uint64
	r := uint64(1) << (scale - 1) // one half
	for b := hazardBits - 1; b >= 0; b-- {
		r = sqrt62(r)
		root[b] = r
	}
	for k := range t {
		for i := range t[k] {
			v := uint64(1) << scale
			for b := range 8 {
				if i>>b&1 == 1 {
					hi, lo := bits.Mul64(v, root[8*k+b])
					v = hi<<(64-scale) | lo>>scale
				}
			}
			t[k][i] = v
		}
	}
	return t
}

// sqrt62 is the square root of a number scaled to 2^62, by bisection.
func sqrt62(v uint64) uint64 {
	lo, hi := uint64(0), uint64(1)<<62
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		h, l := bits.Mul64(mid, mid)
		if h<<2|l>>62 <= v {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// survival is the inverse of hazard.
func survival(h uint64) uint64 {
	if h >= maxHazard {
		return 0
	}
	hi, lo := bits.Mul64(halves[1][h>>8&255], halves[0][h&255])
	v := hi<<2 | lo>>62
	return v >> (62 - oneBits) >> (h >> hazardBits)
}
