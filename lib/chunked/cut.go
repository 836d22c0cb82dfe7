package chunked

// Parameters of the cuts, in bytes unless stated otherwise. Changing one of them changes the
// digests of all chunks of large files, and therefore every layer digest.
const (
	// wholeSize is the minimum size of a file that is cut into chunks. For a smaller file, the
	// chunks would save fewer bytes than their TOC entries take.
	wholeSize = 128 << 10
	// cutBits is the number of low bits of the checksum that are checked. A chunk ends where all of
	// them are ones. The average size of a chunk is 2^16 bytes.
	cutBits = 16
	// leastChunk is the minimum size of a chunk that the checksum ends.
	leastChunk = 4 << 10
	// holeBlock is the size of the blocks that are checked for holes. Blocks are aligned to their
	// size. A block that contains only zeros is a hole.
	holeBlock = 32 << 10
)

// These are the parameters of the rolling checksum from bup (github.com/apenwarr/bup,
// lib/bup/bupsplit.c), which podman also uses. The checksum covers a window of 64 bytes, and adds
// 31 to each byte.
const (
	windowSize = 64
	charOffset = 31
)

type rollsum struct {
	s1, s2 uint32
	window [windowSize]byte // the oldest byte first
}

func newRollsum() rollsum {
	return rollsum{s1: windowSize * charOffset, s2: windowSize * (windowSize - 1) * charOffset}
}

// roll adds bytes up to and including the first byte after which the checksum cuts. It returns the
// number of bytes added. The first skip bytes never cause a cut.
func (r *rollsum) roll(p []byte, skip int) (n int, cut bool) {
	first := p[:min(len(p), windowSize)]
	n, cut = r.slide(r.window[:], first, skip)
	if !cut && len(p) > len(first) {
		n, cut = r.slide(p, p[windowSize:], skip-windowSize)
		n += windowSize
	}
	if n >= windowSize {
		copy(r.window[:], p[n-windowSize:n])
	} else {
		copy(r.window[:], r.window[n:])
		copy(r.window[windowSize-n:], p[:n])
	}
	return n, cut
}

// slide adds the bytes of in. Each replaces the byte in out with the same index.
func (r *rollsum) slide(out, in []byte, skip int) (n int, cut bool) {
	const mask = 1<<cutBits - 1
	s1, s2 := r.s1, r.s2
	out = out[:len(in)]
	for i, b := range in {
		drop := uint32(out[i])
		s1 += uint32(b) - drop
		s2 += s1 - windowSize*(drop+charOffset)
		if s2&mask == mask && i >= skip {
			r.s1, r.s2 = s1, s2
			return i + 1, true
		}
	}
	r.s1, r.s2 = s1, s2
	return len(in), false
}

// chunkSink receives the chunks of a file. It receives the data of each chunk in pieces, and then
// the end of the chunk. If the sink is full, the cutter makes as few further chunks as possible.
type chunkSink interface {
	piece(p []byte) error
	endChunk(zeros bool) error
	full() bool
}

// cutter cuts the contents of a file into chunks.
type cutter struct {
	sink  chunkSink
	sum   rollsum
	size  int64 // bytes in the chunk so far
	hole  bool  // the chunk consists only of blocks of zeros
	block []byte
}

// reset begins a file.
func (c *cutter) reset() {
	*c = cutter{sink: c.sink, sum: newRollsum(), block: c.block[:0]}
}

// Write implements io.Writer.
func (c *cutter) Write(p []byte) (int, error) {
	n := len(p)
	if len(c.block) > 0 {
		k := min(len(p), holeBlock-len(c.block))
		c.block = append(c.block, p[:k]...)
		p = p[k:]
		if len(c.block) < holeBlock {
			return n, nil
		}
		err := c.cut(c.block)
		if c.block = c.block[:0]; err != nil {
			return 0, err
		}
	}
	for len(p) >= holeBlock {
		if err := c.cut(p[:holeBlock]); err != nil {
			return 0, err
		}
		p = p[holeBlock:]
	}
	c.block = append(c.block, p...)
	return n, nil
}

// end ends the file.
func (c *cutter) end() error {
	if len(c.block) > 0 {
		if err := c.cut(c.block); err != nil {
			return err
		}
	}
	return c.endChunk()
}

// cut adds a block.
func (c *cutter) cut(block []byte) error {
	full := c.sink.full()
	hole := isZero(block) && !full
	if hole != c.hole {
		if err := c.endChunk(); err != nil {
			return err
		}
		c.hole = hole
	}
	if hole {
		c.sum.roll(block[:min(windowSize, len(block))], windowSize) // further zeros do not change the checksum
		c.size += int64(len(block))
		return c.sink.piece(block)
	}
	for len(block) > 0 {
		skip := int(max(0, leastChunk-1-c.size))
		if full {
			skip = len(block)
		}
		n, cut := c.sum.roll(block, skip)
		c.size += int64(n)
		if err := c.sink.piece(block[:n]); err != nil {
			return err
		}
		if block = block[n:]; cut {
			if err := c.endChunk(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cutter) endChunk() error {
	if c.size == 0 {
		return nil
	}
	c.size = 0
	return c.sink.endChunk(c.hole)
}

func isZero(p []byte) bool {
	for ; len(p) >= 8; p = p[8:] {
		if p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7] != 0 {
			return false
		}
	}
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
