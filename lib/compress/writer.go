package compress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

var errClosed = errors.New("writing after close")

// smallBuffer is the initial capacity of a writer's buffer, in bytes, so that a small layer does
// not need a whole block.
const smallBuffer = 64 << 10

// A Writer compresses everything that is written to it. Only one goroutine can use it. The blob is
// complete once Close has returned nil.
//
// A writer can be dropped without Close. It has no goroutine, and the garbage collector frees its
// blocks in the pool once they are finished.
type Writer struct {
	ctx   context.Context // context for the whole blob, because io.Writer has no parameter for it
	w     io.Writer
	pool  *Pool
	rank  int // rank of its blocks
	plan  plan
	plain bool // no compression, so bytes go straight to w

	buf     []byte // dictionary, then the block being filled
	dict    int    // bytes of dictionary at the start of buf
	blocks  int    // number of blocks submitted so far
	first   int    // bytes of input in the first block
	pending []*job // submitted but not yet written, in order
	started bool   // the header was written
	closed  bool
	err     error // the first error
	framing       // used for a FrameWriter

	crc  uint32 // of the input, for gzip
	size uint32 // of the input modulo 2^32, for gzip
}

// Write returns once p is copied, which can be long before p is compressed. So an error can belong
// to an earlier call.
func (z *Writer) Write(p []byte) (int, error) {
	if z.closed {
		return 0, errClosed
	}
	if z.check() != nil {
		return 0, z.err
	}
	if z.plain {
		n, err := z.w.Write(p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		z.err = err
		return n, err
	}
	if z.plan.algorithm == Gzip {
		z.crc = crc32.Update(z.crc, crc32.IEEETable, p)
		z.size += uint32(len(p))
	}
	n := 0
	for n < len(p) {
		k := z.fill(p[n:])
		n += k
		if len(z.buf) == z.dict+z.plan.blockSize {
			if err := z.submit(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Close compresses the remaining data, waits for all blocks and completes the blob. It does not
// close w. Further calls return the same result.
func (z *Writer) Close() error {
	if z.closed {
		return z.err
	}
	z.closed = true
	if z.check() != nil || z.plain {
		return z.err
	}
	if len(z.buf) > z.dict {
		if err := z.submit(); err != nil {
			return err
		}
	}
	for len(z.pending) > 0 {
		if err := z.writeOldest(); err != nil {
			return err
		}
	}
	z.pool.blocks.put(z.plan, z.buf)
	z.buf = nil
	if z.plan.frames {
		return nil
	}
	if z.plan.algorithm == Zstd {
		return z.emit([]byte(zstdEnd))
	}
	end := make([]byte, 0, len(deflateEnd)+8)
	end = append(end, deflateEnd...)
	end = binary.LittleEndian.AppendUint32(end, z.crc)
	end = binary.LittleEndian.AppendUint32(end, z.size)
	return z.emit(end)
}

// check returns the error that stopped the writer. If the context is done, check stops the writer.
func (z *Writer) check() error {
	if z.err == nil && z.ctx.Err() != nil {
		z.err = context.Cause(z.ctx)
	}
	return z.err
}

// fill copies as many bytes from p as fit into the block, and returns their number.
func (z *Writer) fill(p []byte) int {
	p = p[:min(len(p), z.dict+z.plan.blockSize-len(z.buf))]
	if need := len(z.buf) + len(p); need > cap(z.buf) {
		b := z.pool.blocks.get(z.plan)
		switch {
		case b != nil:
		case need <= smallBuffer:
			b = make([]byte, 0, smallBuffer)
		default:
			b = make([]byte, 0, z.plan.bufferSize())
		}
		z.buf = append(b, z.buf...)
	}
	z.buf = append(z.buf, p...)
	return len(p)
}

// submit passes the block to the pool, starts the next block and writes finished blocks.
func (z *Writer) submit() error {
	// There are more blocks than workers, so that no worker is idle unless a block takes twice as
	// long as its neighbours.
	for len(z.pending) >= z.pool.workers+z.plan.queueLength() {
		if err := z.writeOldest(); err != nil {
			return err
		}
	}
	if z.plan.frames {
		z.endFrame()
	}
	j := &job{
		plan: z.plan, rank: z.rank, index: z.blocks, buf: z.buf, dict: z.dict, cuts: z.cuts,
		started: make(chan struct{}), done: make(chan struct{}),
	}
	if z.blocks == 0 {
		z.first = len(j.buf) - j.dict
	}
	z.blocks++
	z.buf, z.dict, z.cuts = nil, 0, nil
	if !z.closed && z.plan.dictSize > 0 {
		tail := j.buf[max(0, len(j.buf)-z.plan.dictSize):]
		z.fill(tail)
		z.dict = len(tail)
	}
	if err := z.queue(j); err != nil {
		return err
	}
	for len(z.pending) > 0 && z.pending[0].finished() {
		if err := z.writeOldest(); err != nil {
			return err
		}
	}
	return nil
}

// queue adds the block to the pool's queue. If too many blocks of this writer are queued, it waits,
// and writes finished blocks to free their memory.
func (z *Writer) queue(j *job) error {
	z.pending = append(z.pending, j)
	z.pool.enqueue(j)
	for {
		last := len(z.pending) - z.plan.queueLength() // this block must have been started, because blocks start in order
		if last < 0 {
			return nil
		}
		select {
		case <-z.pending[last].started:
			return nil
		case <-z.pending[0].done:
			if err := z.writeOldest(); err != nil {
				return err
			}
		case <-z.ctx.Done():
			return z.check()
		case <-z.pool.quit:
			z.err = errPoolClosed
			return z.err
		}
	}
}

func (j *job) finished() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// writeOldest waits for the oldest block and writes it.
func (z *Writer) writeOldest() error {
	j := z.pending[0]
	select {
	case <-j.done:
	case <-z.ctx.Done():
		return z.check()
	case <-z.pool.quit:
		if !j.finished() {
			z.err = errPoolClosed
			return z.err
		}
	}
	z.pending = append(z.pending[:0], z.pending[1:]...)
	if j.err != nil {
		z.err = fmt.Errorf("compressing block %d: %w", j.index, j.err)
		return z.err
	}
	if err := z.emit(j.out); err != nil {
		return err
	}
	z.wrote(j)
	z.pool.outputs.put(z.plan, j.out)
	return nil
}

// emit writes compressed bytes. Before the first bytes, it writes the header.
func (z *Writer) emit(b []byte) error {
	if !z.started {
		z.started = true
		if err := z.emit(z.plan.header(z.first)); err != nil {
			return err
		}
	}
	n, err := z.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	z.err = err
	return err
}
