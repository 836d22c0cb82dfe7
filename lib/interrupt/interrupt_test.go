package interrupt

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	stopped, broken := errors.New("stopped"), errors.New("broken")
	ctx, cancel := context.WithCancelCause(context.Background())
	if err := iotest.TestReader(Reader(ctx, strings.NewReader("text")), []byte("text")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(Reader(ctx, iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	in := strings.NewReader("text")
	midway := Reader(ctx, readerFunc(func(p []byte) (int, error) {
		defer cancel(stopped)
		n, _ := in.Read(p[:2])
		return n, broken
	}))
	if data, err := io.ReadAll(midway); string(data) != "te" || !errors.Is(err, stopped) {
		t.Errorf("got %q, %v", data, err)
	}
	if n, err := Reader(ctx, in).Read(make([]byte, 9)); n != 0 || !errors.Is(err, stopped) || in.Len() != 2 {
		t.Errorf("got %d bytes, %v, with %d left", n, err, in.Len())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A call that does not return is abandoned. The result of a finished call is returned.
func TestCall(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	if n, err := Call(ctx, func() (int, error) { return 7, io.EOF }); n != 7 || err != io.EOF {
		t.Errorf("got %d, %v", n, err)
	}
	forever := make(chan bool)
	defer close(forever)
	n, err := Call(ctx, func() (int, error) {
		cancel(why)
		<-forever
		return 7, nil
	})
	if n != 0 || !errors.Is(err, why) {
		t.Errorf("got %d, %v", n, err)
	}
}
