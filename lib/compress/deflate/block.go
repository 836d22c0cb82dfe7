package deflate

import (
	"encoding/binary"
	"math"
	"slices"
)

// The longest codes in the format, in bits.
const (
	maxCode       = 15
	maxLengthCode = 7 // in the code for code lengths
)

// A sequence is a number of literals followed by a match. If the length is 0, there is no match.
type sequence struct {
	literals         uint32
	length, distance uint16
}

// A bitWriter appends bits, the lowest first. At most 56 bits can be added between two flushes.
type bitWriter struct {
	out  []byte
	held uint64
	n    uint // number of bits that are not written yet
}

func (w *bitWriter) add(v uint64, n uint) {
	w.held |= v << w.n
	w.n += n
}

// flush writes all complete bytes. The buffer has room for eight more.
func (w *bitWriter) flush() {
	size := len(w.out)
	binary.LittleEndian.PutUint64(w.out[size:size+8], w.held)
	w.out = w.out[:size+int(w.n/8)]
	w.held >>= w.n &^ 7
	w.n &= 7
}

// put does the same as flush, but keeps the state in local variables for speed.
func put(out []byte, at int, held uint64, n uint) (int, uint64, uint) {
	binary.LittleEndian.PutUint64(out[at:at+8], held)
	return at + int(n/8), held >> (n &^ 7), n & 7
}

// align fills the last byte with zeros.
func (w *bitWriter) align() {
	w.n = (w.n + 7) &^ 7
	w.flush()
}

// A blockWriter writes blocks.
type blockWriter struct {
	bitWriter
	huffman   huffman
	symbols   [symbols]code
	distances [distances]code
	lengths   [19]code               // lengths in the code for code lengths
	runs      []run                  // the code lengths of both codes
	match     [maxMatch + 1]struct { // the symbol of a match length, with its extra bits
		bits uint32
		n    uint8
	}
}

// Types of blocks.
const (
	storedBlock  = 0
	fixedBlock   = 1
	dynamicBlock = 2
)

// block writes data as the smallest of the three block types. sequences represent the data.
func (w *blockWriter) block(data []byte, sequences []sequence, h *histogram) {
	h.symbol[endOfBlock] = 1
	extra := h.extraBits()
	w.fixedCodes()
	fixed := 3 + w.size(h) + extra
	w.huffman.build(w.symbols[:], h.symbol[:], maxCode)
	w.huffman.build(w.distances[:], h.distance[:], maxCode)
	header := w.describe()
	dynamic := 3 + header + w.size(h) + extra
	stored := (len(data) + 5*(len(data)/math.MaxUint16+1)) * 8
	size := min(dynamic, fixed, stored)
	w.out = slices.Grow(w.out, size/8+32)
	switch size {
	case stored:
		w.stored(data)
		return
	case fixed:
		w.fixedCodes()
		w.add(fixedBlock<<1, 3)
	default:
		w.add(dynamicBlock<<1, 3)
		w.codes()
	}
	w.sequences(data, sequences)
}

// size returns the number of bits for the symbols in h, without their extra bits.
func (w *blockWriter) size(h *histogram) int {
	size := 0
	for i, n := range h.symbol {
		size += int(n) * int(w.symbols[i].n)
	}
	for i, n := range h.distance {
		size += int(n) * int(w.distances[i].n)
	}
	return size
}

// extraBits returns the number of extra bits that the symbols need.
func (h *histogram) extraBits() int {
	size := 0
	for i, g := range lengthGroups {
		size += int(h.symbol[lengths+i]) * int(g.extra)
	}
	for i, g := range distanceGroups {
		size += int(h.distance[i]) * int(g.extra)
	}
	return size
}

// stored writes data uncompressed, in blocks of at most 65535 bytes.
func (w *blockWriter) stored(data []byte) {
	for first := true; first || len(data) > 0; first = false {
		part := data[:min(len(data), math.MaxUint16)]
		data = data[len(part):]
		w.out = slices.Grow(w.out, len(part)+32)
		w.add(storedBlock<<1, 3)
		w.align()
		w.out = binary.LittleEndian.AppendUint16(w.out, uint16(len(part)))
		w.out = binary.LittleEndian.AppendUint16(w.out, ^uint16(len(part)))
		w.out = append(w.out, part...)
	}
}

func (w *blockWriter) sequences(data []byte, sequences []sequence) {
	for i := range w.match {
		if i >= minMatch {
			s := lengthSymbol[i]
			c := w.symbols[lengths+int(s)]
			w.match[i].bits = uint32(c.bits) | uint32(i-int(lengthGroups[s].first))<<c.n
			w.match[i].n = c.n + lengthGroups[s].extra
		}
	}
	out, held, n := w.out[:cap(w.out)], w.held, w.n
	at := len(w.out)
	for _, s := range sequences {
		literals := data[:s.literals]
		data = data[int(s.literals)+int(s.length):]
		for len(literals) >= 3 {
			a, b, c := w.symbols[literals[0]], w.symbols[literals[1]], w.symbols[literals[2]]
			held |= uint64(a.bits) << n
			n += uint(a.n)
			held |= uint64(b.bits) << n
			n += uint(b.n)
			held |= uint64(c.bits) << n
			n += uint(c.n)
			at, held, n = put(out, at, held, n)
			literals = literals[3:]
		}
		for _, l := range literals {
			c := w.symbols[l]
			held |= uint64(c.bits) << n
			n += uint(c.n)
		}
		at, held, n = put(out, at, held, n)
		if s.length == 0 {
			continue
		}
		m := w.match[s.length]
		held |= uint64(m.bits) << n
		n += uint(m.n)
		symbol := distanceSymbol(int(s.distance))
		d, g := w.distances[symbol], distanceGroups[symbol]
		held |= uint64(d.bits) << n
		n += uint(d.n)
		held |= uint64(s.distance-g.first) << n
		n += uint(g.extra)
		at, held, n = put(out, at, held, n)
	}
	w.out, w.held, w.n = out[:at], held, n
	w.add(uint64(w.symbols[endOfBlock].bits), uint(w.symbols[endOfBlock].n))
	w.flush()
}
