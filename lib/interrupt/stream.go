package interrupt

import (
	"context"
	"os"
)

// Stream is a file whose reads and writes return when a context is done, because an idle pipe must
// not prevent a command from ending.
type Stream struct {
	ctx  context.Context // of all reads and writes
	file *os.File
}

// NewStream returns a file as a stream.
func NewStream(ctx context.Context, f *os.File) Stream { return Stream{ctx, f} }

// Read implements io.Reader.
func (s Stream) Read(b []byte) (int, error) { return s.call(s.file.Read, b) }

// Write implements io.Writer.
func (s Stream) Write(b []byte) (int, error) { return s.call(s.file.Write, b) }

// Name returns the file's name, for messages.
func (s Stream) Name() string { return s.file.Name() }

// call abandons a call that does not return. Afterwards the caller must not use b, so the process
// should end after this error.
func (s Stream) call(f func([]byte) (int, error), b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return Call(s.ctx, func() (int, error) { return f(b) })
}
