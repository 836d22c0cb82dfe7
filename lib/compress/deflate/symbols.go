package deflate

import "math/bits"

// Symbols in the format. One code is for literals, the end of a block and lengths, and another code
// is for distances.
const (
	endOfBlock = 256
	lengths    = 257 // the first length symbol
	symbols    = 286
	distances  = 30
)

// A group is a range of lengths or distances with the same symbol. It contains the first value of
// the range and the number of extra bits that select a value.
type group struct {
	first uint16
	extra uint8
}

var (
	lengthGroups   [symbols - lengths]group
	distanceGroups [distances]group
	lengthSymbol   [maxMatch + 1]uint8 // symbol minus the constant lengths
)

func init() {
	first := minMatch
	for i := range lengthGroups {
		extra := max(0, i/4-1)
		lengthGroups[i] = group{uint16(first), uint8(extra)}
		for range 1 << extra {
			if first <= maxMatch {
				lengthSymbol[first] = uint8(i)
			}
			first++
		}
	}
	last := len(lengthGroups) - 1 // the longest has its own symbol
	lengthGroups[last] = group{maxMatch, 0}
	lengthSymbol[maxMatch] = uint8(last)
	first = 1
	for i := range distanceGroups {
		extra := max(0, i/2-1)
		distanceGroups[i] = group{uint16(first), uint8(extra)}
		first += 1 << extra
	}
}

// distanceSymbol returns the symbol for a distance. There are two symbols for each power of two.
// The second highest bit selects between them.
func distanceSymbol(distance int) int {
	d := uint(distance - 1)
	if d < 2 {
		return int(d)
	}
	n := bits.Len(d)
	return 2*(n-1) + int(d>>(n-2)&1)
}

// A histogram counts the symbols of some data.
type histogram struct {
	symbol   [symbols]uint32
	distance [distances]uint32
}

func (h *histogram) add(o *histogram) {
	for i, n := range o.symbol {
		h.symbol[i] += n
	}
	for i, n := range o.distance {
		h.distance[i] += n
	}
}

// sizes estimates the sizes of two sets of symbols: the symbols in o with their own code, and the
// symbols in h and o with a common code. The estimates are their entropies, in units of 1/logUnit
// bits.
func (h *histogram) sizes(o *histogram) (own, joined uint64) {
	own1, joined1 := entropies(h.symbol[:], o.symbol[:])
	own2, joined2 := entropies(h.distance[:], o.distance[:])
	return own1 + own2, joined1 + joined2
}

func entropies(h, o []uint32) (own, joined uint64) {
	var ownTotal, joinedTotal uint32
	var ownSum, joinedSum uint64
	for i, n := range o {
		if n > 0 {
			ownTotal += n
			ownSum += timesLog(n)
		}
		if n += h[i]; n > 0 {
			joinedTotal += n
			joinedSum += timesLog(n)
		}
	}
	return timesLog(ownTotal) - ownSum, timesLog(joinedTotal) - joinedSum
}

// timesLog returns n * log2(n).
func timesLog(n uint32) uint64 {
	if n < uint32(len(smallLogs)) {
		return uint64(smallLogs[n])
	}
	return uint64(n) * log2(n)
}

// smallLogs is a table of timesLog for small numbers, because these are frequent.
var smallLogs = func() (logs [512]uint32) {
	for n := range logs[1:] {
		logs[n+1] = uint32(uint64(n+1) * log2(uint32(n+1)))
	}
	return logs
}()

// logUnit is the fixed-point representation of 1 in results of log2.
const logUnit = 1 << 10

// log2 returns the logarithm of n > 0. It is exact for powers of two. Between two powers it uses
// 256 steps. It does not use floating point, which processors round differently.
func log2(n uint32) uint64 {
	k := bits.Len32(n) - 1
	return uint64(k)*logUnit + uint64(logSteps[n<<(31-k)>>23&0xff])
}

// logSteps contains logUnit * log2(1 + i/256).
var logSteps = func() (steps [256]uint16) {
	for i := range steps {
		x, log := uint64(256+i)<<22, uint64(0) // x/2^30 is between 1 and 2
		for range 10 {
			x = x * x >> 30
			log <<= 1
			if x >= 2<<30 {
				x >>= 1
				log++
			}
		}
		steps[i] = uint16(log)
	}
	return steps
}()
