package interrupt

import (
	"context"
	"io/fs"
	"os"
)

// Open calls open with the path. If path is a named pipe and no process opens its other end, Open
// returns when the context is done. The abandoned call cannot be interrupted. It ends with the
// process.
func Open[T any](ctx context.Context, path string, open func(path string) (T, error)) (T, error) {
	if st, err := os.Stat(path); err != nil || st.Mode()&fs.ModeNamedPipe == 0 {
		return open(path) // must not be abandoned: it could create a file
	}
	return Call(ctx, func() (T, error) { return open(path) })
}
