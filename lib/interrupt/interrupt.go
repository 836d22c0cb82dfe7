// Package interrupt makes reads, and calls that accept no context, stop when a context is
// cancelled. It also repeats system calls that a signal interrupted.
package interrupt

import (
	"context"
	"io"
)

// Reader wraps the reader in. It reads until ctx is done, and then returns the cause of ctx.
func Reader(ctx context.Context, in io.Reader) io.Reader { return reader{ctx, in} }

// Call calls f. If ctx is done first, it returns without waiting for f, which keeps running in the
// background. Use Call for system calls that no signal interrupts, and for work in memory. After an
// early return, the caller must not use data that f uses.
func Call[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1) // buffered, so that an abandoned call can end
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select { // a finished call takes precedence
	case r := <-done:
		return r.value, r.err
	default:
		var none T
		return none, context.Cause(ctx)
	}
}

type reader struct {
	ctx context.Context // of this reader
	in  io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.in.Read(p)
	if err != nil && r.ctx.Err() != nil {
		err = context.Cause(r.ctx) // the cancelled context can be the cause of err
	}
	return n, err
}
