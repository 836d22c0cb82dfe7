// Package interrupt has readers end with a context, where one call reads a whole blob or
// file.
package interrupt

import (
	"context"
	"io"
)

// Reader reads from in until ctx ends, and then returns its cause in place of what in says.
func Reader(ctx context.Context, in io.Reader) io.Reader { return reader{ctx, in} }

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
