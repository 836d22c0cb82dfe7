// Package fifo opens named pipes, which wait for their other end, for no longer than a context
// lasts.
package fifo

import (
	"context"
	"io/fs"
	"os"

	"chunkah/lib/interrupt"
)

// Open calls open with the path. Where a named pipe is there, and nobody comes for its other end,
// the end of the context leaves the call behind: no signal takes it back, and it ends with the
// process.
func Open[T any](ctx context.Context, path string, open func(path string) (T, error)) (T, error) {
	if st, err := os.Stat(path); err != nil || st.Mode()&fs.ModeNamedPipe == 0 {
		return open(path) // in the end nothing of it may be left, as a file that it makes
	}
	return interrupt.Call(ctx, func() (T, error) { return open(path) })
}
