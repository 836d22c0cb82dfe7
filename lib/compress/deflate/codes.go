package deflate

// A run is a symbol in the code for code lengths, with its extra bits.
type run struct {
	symbol, value uint8
}

// The symbols in the code for code lengths that are not lengths.
const (
	repeatLast  = 16 // 3 to 6 times
	repeatZero  = 17 // 3 to 10 times
	repeatZeros = 18 // 11 to 138 times
)

// extraOfRun contains the number of extra bits for these symbols.
var extraOfRun = [19]uint8{repeatLast: 2, repeatZero: 3, repeatZeros: 7}

// lengthOrder is the order in which the lengths of the code for code lengths are written.
var lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// describe finds the runs for the lengths of both codes, and a code for the runs. It returns their
// size in bits.
func (w *blockWriter) describe() int {
	var all [symbols + distances]uint8
	symbols, distances := w.used()
	for i, c := range w.symbols[:symbols] {
		all[i] = c.n
	}
	for i, c := range w.distances[:distances] {
		all[symbols+i] = c.n
	}
	w.runs = w.runs[:0]
	for rest := all[:symbols+distances]; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n] == rest[0] {
			n++
		}
		w.run(rest[0], n)
		rest = rest[n:]
	}
	var counts [19]uint32
	size := 0
	for _, r := range w.runs {
		counts[r.symbol]++
		size += int(extraOfRun[r.symbol])
	}
	w.huffman.build(w.lengths[:], counts[:], maxLengthCode)
	for i, n := range counts {
		size += int(n) * int(w.lengths[i].n)
	}
	return 5 + 5 + 4 + 3*w.lengthsUsed() + size
}

// run adds the runs of a length that occurs n times in a row.
func (w *blockWriter) run(length uint8, n int) {
	if length > 0 {
		w.runs = append(w.runs, run{length, 0})
		n--
	}
	for n > 0 {
		switch {
		case length == 0 && n >= 11:
			k := min(n, 138)
			w.runs = append(w.runs, run{repeatZeros, uint8(k - 11)})
			n -= k
		case length == 0 && n >= 3:
			w.runs = append(w.runs, run{repeatZero, uint8(n - 3)})
			n = 0
		case length > 0 && n >= 3:
			k := min(n, 6)
			w.runs = append(w.runs, run{repeatLast, uint8(k - 3)})
			n -= k
		default:
			w.runs = append(w.runs, run{length, 0})
			n--
		}
	}
}

// codes writes the codes of a block, as found by describe.
func (w *blockWriter) codes() {
	symbols, distances := w.used()
	lengths := w.lengthsUsed()
	w.add(uint64(symbols-257), 5)
	w.add(uint64(distances-1), 5)
	w.add(uint64(lengths-4), 4)
	w.flush()
	for _, s := range lengthOrder[:lengths] {
		w.add(uint64(w.lengths[s].n), 3)
		w.flush()
	}
	for _, r := range w.runs {
		c := w.lengths[r.symbol]
		w.add(uint64(c.bits)|uint64(r.value)<<c.n, uint(c.n+extraOfRun[r.symbol]))
		w.flush()
	}
}

// used returns the number of symbols up to the last one with a code.
func (w *blockWriter) used() (symbols, distances int) {
	symbols, distances = len(w.symbols), len(w.distances)
	for w.symbols[symbols-1].n == 0 {
		symbols--
	}
	for w.distances[distances-1].n == 0 {
		distances--
	}
	return symbols, distances
}

// lengthsUsed returns the number of lengths of the code for code lengths that are written.
func (w *blockWriter) lengthsUsed() int {
	n := len(lengthOrder)
	for n > 4 && w.lengths[lengthOrder[n-1]].n == 0 {
		n--
	}
	return n
}

// fixedCodes sets the fixed codes of the format, for a block without its own codes.
func (w *blockWriter) fixedCodes() {
	copy(w.symbols[:], fixed.symbols[:])
	copy(w.distances[:], fixed.distances[:])
}

// fixed contains the fixed codes of the format. Two of their symbols never occur.
var fixed = func() (w struct {
	symbols   [symbols + 2]code
	distances [distances + 2]code
}) {
	for i := range w.symbols {
		switch {
		case i < 144:
			w.symbols[i].n = 8
		case i < 256:
			w.symbols[i].n = 9
		case i < 280:
			w.symbols[i].n = 7
		default:
			w.symbols[i].n = 8
		}
	}
	for i := range w.distances {
		w.distances[i].n = 5
	}
	assign(w.symbols[:])
	assign(w.distances[:])
	return w
}()
