package scan

import (
	"context"
	"slices"
	"sync"
)

// The limits for reading ahead of the consumer, which limit the memory used.
const (
	aheadDirs    = 128    // number of directories, counted from the next one
	aheadEntries = 16_384 // number of entries in directories that were read ahead
)

// ahead reads directories in advance. With a cold cache, each file costs a disk access, so several
// directories are read in parallel. A reader always chooses the unread directory that is needed
// first.
type ahead struct {
	cancel  context.CancelFunc
	readers sync.WaitGroup

	mu   sync.Mutex
	more sync.Cond // signals waiting readers
	// stack contains the directories that are known but not yet returned, the next one on top.
	stack      []*reading
	unreturned int // entries of directories that were read but not yet returned
	stopped    bool
}

// startAhead starts readers-1 goroutines. The caller of next reads a directory itself if no reader
// has started to read it. The caller must call stop.
func startAhead(ctx context.Context, readers int) *ahead {
	a := &ahead{}
	a.more.L = &a.mu
	ctx, a.cancel = context.WithCancel(ctx)
	for range readers - 1 {
		a.readers.Go(func() {
			for r := a.claim(); r != nil; r = a.claim() {
				a.read(ctx, r)
			}
		})
	}
	return a
}

// stop ends the readers and waits for them.
func (a *ahead) stop() {
	a.cancel()
	a.mu.Lock()
	a.stopped = true
	a.mu.Unlock()
	a.more.Broadcast()
	a.readers.Wait()
}

// start adds the directories below the root, which has already been read.
func (a *ahead) start(top *reading) {
	top.claimed = true
	a.mu.Lock()
	a.stack = append(a.stack, top)
	a.mu.Unlock()
	a.finish(top)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pop()
}

// claim waits for a directory to read. It returns nil at the end.
func (a *ahead) claim() *reading {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.stopped {
		if a.unreturned < aheadEntries {
			last := max(0, len(a.stack)-aheadDirs)
			for _, r := range slices.Backward(a.stack[last:]) {
				if !r.claimed {
					r.claimed = true
					return r
				}
			}
		}
		a.more.Wait()
	}
	return nil
}

// read reads a directory that the caller has claimed.
func (a *ahead) read(ctx context.Context, r *reading) {
	r.err = r.read(ctx)
	a.finish(r)
	close(r.done)
}

// finish puts the subdirectories of r below r on the stack, since they come directly after r.
func (a *ahead) finish(r *reading) {
	var below []*reading
	for _, e := range slices.Backward(r.entries) {
		if e.into != (inode{}) {
			below = append(below, newReading(r.input, e.file.Path, e.into))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := len(a.stack) - 1 // at most aheadDirs below the top
	for a.stack[at] != r {
		at--
	}
	a.stack = slices.Insert(a.stack, at, below...)
	a.unreturned += len(r.entries)
	if len(below) > 0 {
		a.more.Broadcast()
	}
}

// next returns the next directory in order, after reading it.
func (a *ahead) next(ctx context.Context) *reading {
	a.mu.Lock()
	r := a.stack[len(a.stack)-1]
	mine := !r.claimed
	r.claimed = true
	a.mu.Unlock()
	if mine {
		a.read(ctx, r)
	}
	<-r.done
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pop()
	return r
}

// pop removes the top directory, which was read, from the stack.
func (a *ahead) pop() {
	top := len(a.stack) - 1
	a.unreturned -= len(a.stack[top].entries)
	a.stack[top] = nil
	a.stack = a.stack[:top]
	a.more.Signal()
}
