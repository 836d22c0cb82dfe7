package compress

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
)

// errPoolClosed is the error from writers whose pool was closed.
var errPoolClosed = errors.New("compressor pool is closed")

// A Pool limits the number of blocks that all writers in a process compress in parallel.
//
// Each worker needs memory for the library's tables (under 2 MiB at the default levels), its
// current block, the output and, for zstd, a copy of the block. Each writer needs memory for the
// block being filled, its queued blocks (plan.queueLength) and one finished output, or several
// finished outputs while an earlier block is still being compressed. With n workers and m writers
// at default levels, and data that compresses to less than half, that is about 4n+6m MiB for gzip
// and 22n+12m MiB for zstd.
//
// Workers compress the queued blocks of the writer with the lowest rank first. So blobs are
// finished in the order of their ranks, even if one blob is much larger than the next, and all
// workers are used for one blob as long as it has queued blocks.
type Pool struct {
	workers int
	wait    sync.WaitGroup
	quit    chan struct{} // closed by Close

	mu     sync.Mutex
	more   sync.Cond // signals a queued block or a closed pool
	queue  []*job    // in order for each writer, at most plan.queueLength per writer
	closed bool

	// Blocks and outputs are separate, because only the written part of an output buffer uses
	// memory, and that part is a fraction of a block.
	blocks, outputs freeList
}

// A job is the compression of one block.
type job struct {
	plan    plan
	rank    int           // rank of the writer; lower ranks come first
	index   int           // number of the block in its stream, from 0
	buf     []byte        // dictionary and block
	dict    int           // bytes of dictionary at the start of buf
	cuts    []int         // offsets in buf at which frames end, for a FrameWriter
	out     []byte        // set by the worker
	ends    []int         // offsets in out at which frames end, set by the worker
	err     error         // set by the worker
	started chan struct{} // closed when a worker begins
	done    chan struct{} // closed when it is finished
}

// NewPool starts a pool with this number of workers. If the number is below 1, GOMAXPROCS is used.
// The caller must close the pool.
func NewPool(workers int) *Pool {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := idlePool(workers)
	for range workers {
		p.wait.Go(p.work)
	}
	return p
}

// idlePool makes a pool without starting its workers.
func idlePool(workers int) *Pool {
	p := &Pool{
		workers: workers,
		quit:    make(chan struct{}),
		blocks:  freeList{most: 6*workers + 3}, // enough for the queues of as many writers as workers, at gzip's block size
		outputs: freeList{most: 2*workers + 3},
	}
	p.more.L = &p.mu
	return p
}

// Close stops the workers and waits for them. Writers that are not closed yet fail with
// [errPoolClosed] when they need a worker. Close can be called twice.
func (p *Pool) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.quit)
	}
	p.mu.Unlock()
	p.more.Broadcast()
	p.wait.Wait()
}

// NewWriter returns a writer that compresses to w. Its blocks come before the blocks of writers
// with a higher rank. w is called only from the goroutine that calls the writer's methods. After
// ctx is done, the writer fails with the cause of ctx.
func (p *Pool) NewWriter(ctx context.Context, w io.Writer, s Settings, rank int) (*Writer, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	z := &Writer{ctx: ctx, w: w, pool: p, rank: rank}
	if s.Algorithm == None {
		z.plain = true
	} else {
		z.plan = s.plan()
	}
	return z, nil
}

// work is a worker. It compresses blocks until the pool is closed, and completes every block that
// it started.
func (p *Pool) work() {
	codecs := map[plan]codec{}
	for j := p.next(); j != nil; j = p.next() {
		j.out, j.err = p.run(codecs, j)
		p.blocks.put(j.plan, j.buf)
		j.buf = nil
		close(j.done)
	}
}

// enqueue queues a block.
func (p *Pool) enqueue(j *job) {
	p.mu.Lock()
	p.queue = append(p.queue, j)
	p.mu.Unlock()
	p.more.Signal()
}

// next waits for a block and returns the first block in order, or nil if the pool is closed.
func (p *Pool) next() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 && !p.closed {
		p.more.Wait()
	}
	if p.closed {
		return nil
	}
	first := 0
	for i, j := range p.queue {
		if j.rank < p.queue[first].rank {
			first = i
		}
	}
	j := p.queue[first]
	p.queue = slices.Delete(p.queue, first, first+1)
	close(j.started)
	return j
}

func (p *Pool) run(codecs map[plan]codec, j *job) ([]byte, error) {
	c, ok := codecs[j.plan]
	if !ok {
		var err error
		if c, err = j.plan.newCodec(); err != nil {
			return nil, err
		}
		codecs[j.plan] = c
	}
	dst := p.outputs.get(j.plan)
	if dst == nil {
		// This leaves room for incompressible data. Unused memory costs nothing, but growing a
		// buffer costs a copy.
		dst = make([]byte, 0, outputSize(len(j.buf)))
	}
	if !j.plan.frames {
		return c.appendBlock(dst, j.buf, j.dict)
	}
	from := 0
	for _, cut := range j.cuts {
		var err error
		if dst, err = c.appendBlock(dst, j.buf[from:cut], 0); err != nil {
			return nil, err
		}
		j.ends = append(j.ends, len(dst))
		from = cut
	}
	return dst, nil
}

// A freeList keeps a limited number of buffers for blocks or their outputs. A sync.Pool would
// release them to the garbage collector and clear new ones, which is slower at these sizes.
type freeList struct {
	most int
	mu   sync.Mutex
	bufs [][]byte
}

// get returns an empty buffer that is large enough for a block of the given plan, or nil.
func (f *freeList) get(pl plan) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, b := range slices.Backward(f.bufs) { // most recently used first, so that others stay unused
		if cap(b) >= pl.bufferSize() {
			last := len(f.bufs) - 1
			f.bufs[i], f.bufs[last] = f.bufs[last], nil
			f.bufs = f.bufs[:last]
			return b[:0]
		}
	}
	return nil
}

// put keeps a buffer unless it is too small for a block of the given plan.
func (f *freeList) put(pl plan, b []byte) {
	if cap(b) < pl.bufferSize() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.bufs) < f.most {
		f.bufs = append(f.bufs, b)
	}
}
