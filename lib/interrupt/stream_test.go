package interrupt

import (
	"context"
	"errors"
	"os"
	"testing"
)

// Reading from an idle pipe and writing to it end with the context.
func TestStreamEndsWithItsContext(t *testing.T) {
	stopped := errors.New("stopped")
	for name, call := range map[string]func(Stream, []byte) (int, error){"read": Stream.Read, "write": Stream.Write} {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		s := NewStream(ctx, map[string]*os.File{"read": in, "write": out}[name])
		done := make(chan error)
		go func() {
			_, err := call(s, make([]byte, 1<<20)) // more than a pipe can buffer
			done <- err
		}()
		cancel(stopped)
		if err := <-done; !errors.Is(err, stopped) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
