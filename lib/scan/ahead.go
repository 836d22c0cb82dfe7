package scan

import (
	"context"
	"slices"
	"sync"
)

// How far the readers may be ahead of what is handed out, so that memory does not grow with what is
// read sooner than it is taken.
const (
	aheadDirs    = 128    // directories, from the next one on
	aheadEntries = 16_384 // entries of directories that wait
)

// ahead reads directories before their turn: with a cold cache each look at a file waits for the
// disk, and those of several directories wait at once. Whoever reads takes the directory that is
// needed soonest.
type ahead struct {
	cancel  context.CancelFunc
	readers sync.WaitGroup

	mu   sync.Mutex
	more sync.Cond // something changed for readers that wait
	// stack holds the directories that are known and not handed out, the next one on top.
	stack   []*reading
	waiting int // entries of directories that are read and not handed out
	stopped bool
}

// startAhead starts so many readers less one: the caller of next reads too, where nobody has begun
// to. It is to be stopped.
func startAhead(ctx context.Context, readers int) *ahead {
	a := &ahead{}
	a.more.L = &a.mu
	ctx, a.cancel = context.WithCancel(ctx)
	for range readers - 1 {
		a.readers.Go(func() {
			for r := a.take(); r != nil; r = a.take() {
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

// start notes the directories below the root, which is read already.
func (a *ahead) start(top *reading) {
	top.taken = true
	a.mu.Lock()
	a.stack = append(a.stack, top)
	a.mu.Unlock()
	a.finish(top)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pop()
}

// take waits for a directory to read; nil is the end.
func (a *ahead) take() *reading {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.stopped {
		if a.waiting < aheadEntries {
			last := max(0, len(a.stack)-aheadDirs)
			for _, r := range slices.Backward(a.stack[last:]) {
				if !r.taken {
					r.taken = true
					return r
				}
			}
		}
		a.more.Wait()
	}
	return nil
}

// read reads a directory that the caller has taken.
func (a *ahead) read(ctx context.Context, r *reading) {
	r.err = r.read(ctx)
	a.finish(r)
	close(r.done)
}

// finish puts the directories in r below it: they come right after it.
func (a *ahead) finish(r *reading) {
	var below []*reading
	for _, e := range slices.Backward(r.entries) {
		if e.into != (inode{}) {
			below = append(below, newReading(r.source, e.file.Path, e.into))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := len(a.stack) - 1 // it is not far from the top: aheadDirs
	for a.stack[at] != r {
		at--
	}
	a.stack = slices.Insert(a.stack, at, below...)
	a.waiting += len(r.entries)
	if len(below) > 0 {
		a.more.Broadcast()
	}
}

// next returns the next directory in order, read.
func (a *ahead) next(ctx context.Context) *reading {
	a.mu.Lock()
	r := a.stack[len(a.stack)-1]
	mine := !r.taken
	r.taken = true
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

// pop takes the directory on top, which is read, off the stack.
func (a *ahead) pop() {
	top := len(a.stack) - 1
	a.waiting -= len(a.stack[top].entries)
	a.stack[top] = nil
	a.stack = a.stack[:top]
	a.more.Signal()
}
