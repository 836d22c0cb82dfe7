package compress

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
)

// ErrPoolClosed is returned by writers of a pool that has been closed.
var ErrPoolClosed = errors.New("compressor pool is closed")

// A Pool bounds how many blocks are compressed at once, over all writers of a process.
//
// In memory it holds, for each worker, the library's tables (under 2 MiB at the default levels),
// the block it works on its output and, for zstd, a copy of it; and for each writer a block being
// filled, those that wait (plan.ahead) and the output of one that is finished, or of a few more
// while an earlier block takes longer. With n workers and m writers at default levels, on data that
// compresses to less than half, that is about 4n+6m MiB for gzip and 22n+12m MiB for zstd.
//
// Where blocks of several writers wait, that of the lowest rank comes first. So blobs are finished
// in the order of their ranks, however much larger one is than the next, and as long as one has
// blocks all workers are for it.
type Pool struct {
	workers int
	wait    sync.WaitGroup
	quit    chan struct{} // closed by Close

	mu      sync.Mutex
	more    sync.Cond // a block waits, or the pool is closed
	waiting []*job    // of each writer in order, and not more than plan.ahead
	closed  bool

	// Blocks and outputs are kept apart: of an output's buffer only so much is ever memory as was
	// written to it, which is a fraction of a block.
	blocks, outputs freeList
}

// A job is one block on its way through a worker.
type job struct {
	plan  plan
	rank  int           // of its writer: a smaller one comes first
	index int           // of the block in its stream, from 0
	buf   []byte        // dictionary and block
	dict  int           // bytes of dictionary at the start of buf
	out   []byte        // set by the worker
	err   error         // set by the worker
	taken chan struct{} // closed when a worker begins
	done  chan struct{} // closed when it is finished
}

// NewPool starts a pool of so many workers; below 1 it is as many as Go uses processors. Close it.
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

// idlePool makes a pool whose workers are yet to come.
func idlePool(workers int) *Pool {
	p := &Pool{
		workers: workers,
		quit:    make(chan struct{}),
		blocks:  freeList{most: 6*workers + 3}, // what as many writers have waiting, at gzip's block size
		outputs: freeList{most: 2*workers + 3},
	}
	p.more.L = &p.mu
	return p
}

// Close ends the workers and waits for them. Writers that are not closed yet will fail with
// [ErrPoolClosed] as soon as they need a worker. It may be called more than once.
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

// NewWriter returns a writer that compresses to w, whose blocks come before those of writers with a
// higher rank. Only the goroutine that calls the writer's methods ever calls w. After ctx is done,
// the writer fails with the cause.
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

// work is one worker: it compresses blocks until the pool is closed, and finishes each that it has
// taken.
func (p *Pool) work() {
	codecs := map[plan]codec{}
	for j := p.take(); j != nil; j = p.take() {
		j.out, j.err = p.run(codecs, j)
		p.blocks.put(j.plan, j.buf)
		j.buf = nil
		close(j.done)
	}
}

// offer lets a block wait for a worker.
func (p *Pool) offer(j *job) {
	p.mu.Lock()
	p.waiting = append(p.waiting, j)
	p.mu.Unlock()
	p.more.Signal()
}

// take waits for a block and returns the one that comes first; nil where the pool is closed.
func (p *Pool) take() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) == 0 && !p.closed {
		p.more.Wait()
	}
	if p.closed {
		return nil
	}
	first := 0
	for i, j := range p.waiting {
		if j.rank < p.waiting[first].rank {
			first = i
		}
	}
	j := p.waiting[first]
	p.waiting = slices.Delete(p.waiting, first, first+1)
	close(j.taken)
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
		// Room for data that does not shrink: memory that is never written costs nothing, a buffer
		// that has to grow costs its old self.
		dst = make([]byte, 0, outputSize(len(j.buf)))
	}
	return c.appendBlock(dst, j.buf, j.dict)
}

// A freeList keeps buffers of whole blocks, or of their outputs, and not more than so many. A
// sync.Pool would give them to the garbage collector and clear new ones, which at these sizes costs
// more than it saves.
type freeList struct {
	most int
	mu   sync.Mutex
	bufs [][]byte
}

// get returns an empty buffer that can hold a block of that plan, or nil.
func (f *freeList) get(pl plan) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, b := range slices.Backward(f.bufs) { // the last used first: others stay untouched
		if cap(b) >= pl.bufferSize() {
			last := len(f.bufs) - 1
			f.bufs[i], f.bufs[last] = f.bufs[last], nil
			f.bufs = f.bufs[:last]
			return b[:0]
		}
	}
	return nil
}

// put keeps a buffer, unless it was made for less than a block of that plan.
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
