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
// In memory it holds, for each worker, the library's tables (under 2 MiB at the default levels), the block it works on
// its output and, for zstd, a copy of it; and for each writer a block being filled and the output of one that is
// finished, or of a few more while an earlier block takes longer. With n workers and m writers at default levels, on data
// that compresses to less than half, that is about 4n+2m MiB for gzip and 22n+12m MiB for zstd.
type Pool struct {
	workers int
	jobs    chan *job     // unbuffered: a block waits with its writer, so that blocks in memory are counted
	quit    chan struct{} // closed by Close
	close   sync.Once
	wait    sync.WaitGroup
	// Blocks and outputs are kept apart: of an output's buffer only so much is ever memory as was written to it, which
	// is a fraction of a block.
	blocks, outputs freeList
}

// A job is one block on its way through a worker.
type job struct {
	plan  plan
	index int    // of the block in its stream, from 0
	buf   []byte // dictionary and block
	dict  int    // bytes of dictionary at the start of buf
	out   []byte // set by the worker
	err   error  // set by the worker
	done  chan struct{}
}

// NewPool starts a pool of so many workers; below 1 it is as many as Go uses processors. Close it.
func NewPool(workers int) *Pool {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &Pool{
		workers: workers,
		jobs:    make(chan *job),
		quit:    make(chan struct{}),
		blocks:  freeList{most: 2*workers + 3},
		outputs: freeList{most: 2*workers + 3},
	}
	for range workers {
		p.wait.Go(p.work)
	}
	return p
}

// Close ends the workers and waits for them. Writers that are not closed yet will fail with [ErrPoolClosed] as soon as
// they need a worker. It may be called more than once.
func (p *Pool) Close() {
	p.close.Do(func() { close(p.quit) })
	p.wait.Wait()
}

// NewWriter returns a writer that compresses to w. Only the goroutine that calls the writer's methods ever calls w.
// After ctx is done, the writer fails with the cause.
func (p *Pool) NewWriter(ctx context.Context, w io.Writer, s Settings) (*Writer, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	z := &Writer{ctx: ctx, w: w, pool: p}
	if s.Algorithm == None {
		z.plain = true
	} else {
		z.plan = s.plan()
	}
	return z, nil
}

// work is one worker: it compresses blocks until the pool is closed, and finishes each that it has taken.
func (p *Pool) work() {
	codecs := map[plan]codec{}
	for {
		select {
		case j := <-p.jobs:
			j.out, j.err = p.run(codecs, j)
			p.blocks.put(j.plan, j.buf)
			j.buf = nil
			close(j.done)
		case <-p.quit:
			return
		}
	}
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
	dict, src := j.buf[:j.dict], j.buf[j.dict:]
	dst := p.outputs.get(j.plan)
	if dst == nil {
		// Room for data that does not shrink: memory that is never written costs nothing, a buffer that
		// has to grow costs its old self.
		dst = make([]byte, 0, outputSize(len(j.buf)))
	}
	return c.appendBlock(dst, dict, src)
}

// A freeList keeps buffers of whole blocks, or of their outputs, and not more than so many. A sync.Pool would give
// them to the garbage collector and clear new ones, which at these sizes costs more than it saves.
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
