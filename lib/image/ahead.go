package image

import (
	"io"
	"sync"
)

// aheadChunks is the number of chunks that are decompressed ahead, each of readBuffer bytes.
const aheadChunks = 4

// ahead reads from another reader in its own goroutine, so that a layer is decompressed while its
// files are written. The caller must call stop before it uses anything that the other reader uses.
type ahead struct {
	full, free chan chunk
	stopped    chan struct{}
	stop       func()
	now        chunk
	rest       []byte // unread bytes in now
}

// chunk is the result of one read.
type chunk struct {
	buf []byte
	n   int
	err error
}

func newAhead(in io.Reader) *ahead {
	a := &ahead{full: make(chan chunk, aheadChunks), free: make(chan chunk, aheadChunks), stopped: make(chan struct{})}
	for range aheadChunks {
		a.free <- chunk{} // allocated when needed, because most layers are small
	}
	ended := make(chan struct{})
	a.stop = sync.OnceFunc(func() {
		close(a.stopped)
		<-ended
	})
	go func() {
		defer close(ended)
		a.fill(in)
	}()
	return a
}

// fill reads until the first error, including the end of the data.
func (a *ahead) fill(in io.Reader) {
	for {
		var c chunk
		select {
		case c = <-a.free:
		case <-a.stopped:
			return
		}
		if c.buf == nil {
			c.buf = make([]byte, readBuffer)
		}
		for c.n, c.err = 0, nil; c.n < len(c.buf) && c.err == nil; {
			var n int
			n, c.err = in.Read(c.buf[c.n:])
			c.n += n
		}
		a.full <- c // has room for all chunks
		if c.err != nil {
			return
		}
	}
}

// Read implements io.Reader. After an error it returns the same error again.
func (a *ahead) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.buf != nil {
			a.free <- a.now // has room for all chunks
		}
		a.now = <-a.full
		a.rest = a.now.buf[:a.now.n]
		if len(a.rest) == 0 {
			return 0, a.now.err
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}
