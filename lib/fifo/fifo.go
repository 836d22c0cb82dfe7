// Package fifo opens named pipes, which wait for their other end, for no longer
// than a context lasts.
package fifo

import (
	"context"
	"io/fs"
	"os"
)

// Open calls open with the path. Where a named pipe is there, and nobody comes for
// its other end, the end of the context leaves the call behind: no signal takes it
// back, and it ends with the process.
func Open[T any](ctx context.Context, path string, open func(path string) (T, error)) (T, error) {
	if st, err := os.Stat(path); err != nil || st.Mode()&fs.ModeNamedPipe == 0 {
		return open(path) // in the end nothing of it may be left, as a file that it makes
	}
	type opened struct {
		value T
		err   error
	}
	done := make(chan opened, 1) // so that a call left behind can end
	go func() {
		value, err := open(path)
		done <- opened{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
