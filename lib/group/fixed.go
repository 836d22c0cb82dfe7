package group

import "math/bits"

// Chances are fixed-point numbers, where one represents a chance of 1. A product of two chances
// fits into 64 bits, and every architecture rounds in the same way.
const (
	oneBits = 30
	one     = uint64(1) << oneBits
)

// times multiplies two chances.
func times(a, b uint64) uint64 { return a * b >> oneBits }

// share returns size times chance, rounded down. The size must not be negative.
func share(size int64, chance uint64) int64 {
	hi, lo := bits.Mul64(uint64(size), chance)
	return int64(hi<<(64-oneBits) | lo>>oneBits)
}

// nearestPower returns the n for which 2^n is nearest to x > 0 on a log scale.
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
