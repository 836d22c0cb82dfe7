// Package interrupt has readers and calls end with a context that know of none.
package interrupt

import (
	"context"
	"io"
)

// Reader reads from in until ctx ends, and then returns its cause in place of what in says.
func Reader(ctx context.Context, in io.Reader) io.Reader { return reader{ctx, in} }

// Call calls f. Where ctx ends first, f is left behind and ends with the process: it is for what no
// signal takes back, and for work in memory alone. Whatever f uses is its own from then on.
func Call[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1) // so that a call left behind can end
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select { // what is done is done, be it the end of a stream
	case r := <-done:
		return r.value, r.err
	default:
		var none T
		return none, context.Cause(ctx)
	}
}

type reader struct {
	ctx context.Context // of this one reading
	in  io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.in.Read(p)
	if err != nil && r.ctx.Err() != nil {
		err = context.Cause(r.ctx) // which may be why
	}
	return n, err
}
