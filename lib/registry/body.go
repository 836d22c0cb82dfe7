package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// bodySource makes request bodies from a write function. Redirects, new logins and failures can
// require several bodies, but write runs only for a body that is read, and never twice at the same
// time.
type bodySource struct {
	size  int64
	write func(io.Writer) error

	turn    sync.Mutex     // locked while write runs
	running sync.WaitGroup // unfinished calls of write

	mu     sync.Mutex
	latest *body
	err    error // from write itself, so another attempt would not help
}

// body is one run of a bodySource. The write function starts with the first read.
type body struct {
	*io.PipeReader
	src   *bodySource
	pipe  *io.PipeWriter
	begin sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	b.begin.Do(b.start)
	return b.PipeReader.Read(p)
}

// start runs write, unless the body was replaced.
func (b *body) start() {
	s := b.src
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != b {
		return
	}
	s.running.Go(func() {
		s.turn.Lock()
		defer s.turn.Unlock()
		_ = b.pipe.CloseWithError(s.run(b.pipe)) // never fails
	})
}

// errUnwanted is the error that write receives if the body is not read any further.
var errUnwanted = errors.New("the upload has ended")

// body returns a new body, and ends the previous one.
func (s *bodySource) body() (io.ReadCloser, error) {
	if s.size == 0 {
		return http.NoBody, nil
	}
	r, w := io.Pipe()
	b := &body{PipeReader: r, src: s, pipe: w}
	s.replace(b)
	return b, nil
}

func (s *bodySource) replace(b *body) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil {
		_ = s.latest.CloseWithError(errUnwanted) // never fails
	}
	s.latest = b
}

// wait ends the current body, waits until write has returned, and returns its error.
func (s *bodySource) wait() error {
	s.replace(nil)
	s.running.Wait()
	return s.err
}

// failed returns write's own error, if any.
func (s *bodySource) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// run calls write and checks how much it writes.
func (s *bodySource) run(w io.Writer) error {
	c := &counter{w: w, left: s.size}
	err := s.write(c)
	switch {
	case c.broken: // an error from writing to the pipe, not from write itself
		return c.err
	case c.err != nil:
		err = c.err
	case err == nil && c.left > 0:
		err = fmt.Errorf("%d of %d bytes are missing", c.left, s.size)
	}
	if err != nil {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return err
}

var errTooLong = errors.New("more bytes than expected")

// counter limits the number of bytes written to w. After an error, all writes return the same
// error.
type counter struct {
	w      io.Writer
	left   int64
	err    error
	broken bool // the error came from w
}

func (c *counter) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if int64(len(b)) > c.left {
		c.err = errTooLong
		return 0, c.err
	}
	n, err := c.w.Write(b)
	c.left -= int64(n)
	c.err, c.broken = err, err != nil
	return n, err
}
