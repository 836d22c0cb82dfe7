package deflate

import (
	"math/bits"
	"slices"
)

// A code contains the bits for one symbol, the lowest first, and their number.
type code struct {
	bits uint16
	n    uint8
}

// A counted is a symbol that occurs at least once, with its count.
type counted struct {
	symbol uint16
	count  uint32
}

// A huffman builds codes. It reuses its memory.
type huffman struct {
	leaves []counted
	nodes  []uint32 // counts of inner nodes, then their depths
	parent []uint16 // parents of leaves, then of inner nodes
}

// build fills codes, which must be as long as counts, with a prefix code of at most limit bits per
// symbol. Symbols that do not occur get no code. Deflate requires codes for at least two symbols.
func (h *huffman) build(codes []code, counts []uint32, limit int) {
	clear(codes)
	h.leaves = h.leaves[:0]
	for s, n := range counts {
		if n > 0 {
			h.leaves = append(h.leaves, counted{uint16(s), n})
		}
	}
	for s := range codes { // a code for one symbol is incomplete, and some readers refuse it
		if len(h.leaves) >= 2 {
			break
		}
		if counts[s] == 0 {
			h.leaves = append(h.leaves, counted{uint16(s), 1})
		}
	}
	slices.SortFunc(h.leaves, func(a, b counted) int {
		if a.count != b.count {
			if a.count < b.count {
				return -1
			}
			return 1
		}
		return int(a.symbol) - int(b.symbol)
	})
	lengths := h.lengths(limit) // the number of codes of each length
	// The rarest symbols get the longest codes.
	leaf := 0
	for n := limit; n > 0; n-- {
		for range lengths[n] {
			codes[h.leaves[leaf].symbol].n = uint8(n)
			leaf++
		}
	}
	assign(codes)
}

// assign sets the code of each symbol. Shorter codes come first. Codes with the same length are
// assigned in the order of the symbols.
func assign(codes []code) {
	var next [maxCode + 2]uint16
	for _, c := range codes {
		if c.n > 0 {
			next[c.n+1]++
		}
	}
	for n := 1; n < len(next); n++ {
		next[n] = (next[n] + next[n-1]) << 1
	}
	for s := range codes {
		if n := codes[s].n; n > 0 {
			codes[s].bits = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// lengths returns the number of codes of each length in Huffman's tree. If the tree is deeper than
// limit, it is replaced by a shallower tree, whose codes take a few more bits.
func (h *huffman) lengths(limit int) (lengths [16]int) {
	leaves := len(h.leaves)
	h.nodes = h.nodes[:0]
	h.parent = append(h.parent[:0], make([]uint16, 2*leaves)...)
	leaf, inner := 0, 0
	for len(h.nodes) < leaves-1 {
		sum := uint32(0)
		for range 2 {
			if leaf < leaves && (inner >= len(h.nodes) || h.leaves[leaf].count <= h.nodes[inner]) {
				sum += h.leaves[leaf].count
				h.parent[leaf] = uint16(len(h.nodes))
				leaf++
			} else {
				sum += h.nodes[inner]
				h.parent[leaves+inner] = uint16(len(h.nodes))
				inner++
			}
		}
		h.nodes = append(h.nodes, sum)
	}
	root := len(h.nodes) - 1
	h.nodes[root] = 0
	for i := root - 1; i >= 0; i-- {
		h.nodes[i] = h.nodes[h.parent[leaves+i]] + 1
	}
	used := 0 // codes that are used, out of the 2^limit codes of the full length
	for i := range leaves {
		n := min(int(h.nodes[h.parent[i]])+1, limit)
		lengths[n]++
		used += 1 << (limit - n)
	}
	for used > 1<<limit { // a leaf moves down one level and becomes the sibling of one of the deepest
		n := limit - 1
		for lengths[n] == 0 {
			n--
		}
		lengths[n]--
		lengths[n+1] += 2
		lengths[limit]--
		used--
	}
	return lengths
}
