package deflate

// Version must change whenever the same input and level produce different bytes.
const Version = 1 // changes every digest

// A level limits the search for matches.
type level struct {
	depth int // positions that are tried for a match
	ahead int // positions that are tried for a match that begins one byte later
	lazy  int // length of a match that is used without checking the next byte
	nice  int // length of a match that ends the search
}

// The levels. The first level takes 1.3 times as long as level 6 of klauspost/compress, and its
// output is about as small as that of zlib's level 6. Each further level takes longer and gains
// less.
const (
	First = 6
	Last  = 9
)

var levels = [Last - First + 1]level{ // changes every digest
	{depth: 6, ahead: 3, lazy: 12, nice: 64},
	{depth: 24, ahead: 12, lazy: 32, nice: 128},
	{depth: 100, ahead: 50, lazy: 128, nice: maxMatch},
	{depth: 1000, ahead: 500, lazy: maxMatch, nice: maxMatch},
}

// Parameters for dividing data into blocks. Changing one of them changes every digest.
const (
	// segment is the number of symbols after which a block can end. With four times this number, or
	// half of it, the output is 0.4 % larger.
	segment = 1024
	// mostSequences limits the memory of an encoder.
	mostSequences = 1 << 16
	// headerBits is the minimum gain, in bits, that justifies a new block. The codes of a new block
	// take about as many bits.
	headerBits = 80 * 8
)

// An Encoder compresses pieces. Only one goroutine can use it at a time.
type Encoder struct {
	level  level
	finder finder
	writer blockWriter

	sequences []sequence // sequences in the block, followed by those in the segment
	block     histogram  // histogram of the block without its last segment
	blockSize uint64     // size of these symbols, as returned by histogram.size
	inBlock   int        // number of sequences in the block
	segment   histogram
	start     int // offset in the input at which the block begins
	middle    int // offset in the input at which the segment begins
	symbols   int // number of symbols in the segment
}

// NewEncoder returns an encoder for a level from First to Last.
func NewEncoder(n int) *Encoder { return &Encoder{level: levels[n-First]} }

// Append compresses buf[from:] and appends the result to dst. Matches can refer to buf[:from]. The
// output ends on a byte boundary, so that another piece can follow. buf must not be longer than
// maxPiece.
func (e *Encoder) Append(dst, buf []byte, from int) []byte {
	e.finder.reset(buf)
	e.finder.skip(max(0, from-window), min(from, window))
	e.writer.bitWriter = bitWriter{out: dst}
	e.startBlock(from)
	e.startSegment(from)
	e.parse(buf, from)
	e.endSegment(len(buf))
	e.endBlock(len(buf), &e.block, len(e.sequences))
	e.writer.stored(nil)
	out := e.writer.out
	e.writer.bitWriter = bitWriter{}
	return out
}

// parse finds the matches. If the next byte also begins a match, it uses the better match.
func (e *Encoder) parse(buf []byte, pos int) {
	f, depth, lazy, nice := &e.finder, e.level.depth, e.level.lazy, e.level.nice
	for literals := pos; ; {
		if e.symbols >= segment {
			e.endSegment(pos)
		}
		length, distance := 0, 0
		for pos < len(buf) {
			length, distance = f.find(pos, minMatch-1, depth, nice)
			if length > 0 {
				break
			}
			e.segment.symbol[buf[pos]]++
			pos++
			if e.symbols++; e.symbols > segment {
				break
			}
		}
		next := pos + 1 // the first position that is not inserted
		for length > 0 && length < lazy && next < len(buf) {
			n, d := f.find(next, length-1, e.level.ahead, nice)
			next++
			if n == 0 || !better(n, d, length, distance) {
				break
			}
			e.segment.symbol[buf[pos]]++
			pos++
			e.symbols++
			length, distance = n, d
		}
		e.sequences = append(e.sequences, sequence{uint32(pos - literals), uint16(length), uint16(distance)})
		if length > 0 {
			e.segment.symbol[lengths+int(lengthSymbol[length])]++
			e.segment.distance[distanceSymbol(distance)]++
			e.symbols++
			f.skip(next, pos+length-next)
			pos += length
		}
		literals = pos
		if pos >= len(buf) {
			return
		}
	}
}

// better reports whether a match that begins one byte later is worth the literal before it. This is
// true if the match is longer, or equally long and at a much smaller distance.
func better(length, distance, oldLength, oldDistance int) bool {
	return 8*(length-oldLength)+distanceSymbol(oldDistance)-distanceSymbol(distance) > 4
}

func (e *Encoder) startBlock(at int) {
	e.start = at
	e.sequences = e.sequences[:0]
	e.block, e.blockSize, e.inBlock = histogram{}, 0, 0
}

func (e *Encoder) startSegment(at int) {
	e.middle, e.symbols = at, 0
	e.segment = histogram{}
}

// endSegment joins the segment to the block. If that takes more bits than a separate block, it ends
// the block before the segment instead.
func (e *Encoder) endSegment(at int) {
	size, joined := e.block.sizes(&e.segment)
	if e.inBlock > 0 && (joined > e.blockSize+size+headerBits*logUnit || len(e.sequences) > mostSequences) {
		rest := append([]sequence(nil), e.sequences[e.inBlock:]...)
		e.endBlock(e.middle, &e.block, e.inBlock)
		e.startBlock(e.middle)
		e.sequences = append(e.sequences, rest...)
		joined = size
	}
	e.block.add(&e.segment)
	e.blockSize, e.inBlock = joined, len(e.sequences)
	e.startSegment(at)
}

// endBlock writes the first n sequences. end is the offset at which they end.
func (e *Encoder) endBlock(end int, h *histogram, n int) {
	e.writer.block(e.finder.text[e.start:end], e.sequences[:n], h)
}
