package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultTimeout is how long a request may go without progress. Some registries move a large
	// blob to its final location before they respond.
	defaultTimeout = time.Minute
	// minProgress is how many bytes must move within the timeout to count as progress: about 1 kB/s
	// by default. Smaller data, such as headers and most manifests, must be complete within the
	// timeout.
	minProgress = 64 << 10
	// dropTimeout is how long to wait for the rest of a response that is read only to reuse the
	// connection.
	dropTimeout = time.Second
)

// errStalled is the error of a request without progress.
var errStalled = errors.New("no progress")

// watch ends a request that makes no progress. Its clock runs only while the request waits for the
// network, not while this program produces or uses the bytes.
type watch struct {
	limit  time.Duration
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer
	left     time.Duration // until the request is considered stalled
	since    time.Time     // when the clock started; zero while it is stopped
	moved    int64         // number of bytes since the last progress
	answered bool          // a response has arrived, so bytes that are still being sent do not count

	sent atomic.Int64 // number of bytes of the request's current body
}

// newWatch returns a watch with a running clock, and the context that it ends.
func newWatch(ctx context.Context, limit time.Duration) (*watch, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: limit, cancel: cancel, left: limit, since: time.Now()}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	return w, ctx
}

// run starts the clock.
func (w *watch) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
	w.timer.Reset(w.left)
}

// stop stops the clock after n bytes have moved.
func (w *watch) stop(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pause()
	if w.moved += int64(n); w.moved >= minProgress {
		w.moved, w.left = 0, w.limit
	}
}

func (w *watch) pause() {
	w.timer.Stop()
	if !w.since.IsZero() {
		w.left = max(0, w.left-time.Since(w.since))
		w.since = time.Time{}
	}
}

// answer stops the clock when a response arrives. The response's body gets the full time again.
func (w *watch) answer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pause()
	w.answered, w.moved, w.left = true, 0, w.limit
}

// limitTo limits the remaining time.
func (w *watch) limitTo(most time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = min(w.left, most)
}

// end stops the watch.
func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// stalled returns errStalled for the error of a request that the watch has ended.
func (w *watch) stalled(ctx context.Context, err error) error {
	if err == nil || !errors.Is(context.Cause(ctx), errStalled) {
		return err
	}
	return fmt.Errorf("%w for %s: if the registry is only slow, raise --registry-timeout", errStalled, w.limit)
}

// isStall reports whether an error is a timeout.
func isStall(err error) bool {
	var timeout net.Error
	return errors.Is(err, errStalled) || errors.As(err, &timeout) && timeout.Timeout()
}

// sentBody is the body of a request.
type sentBody struct {
	io.ReadCloser
	watch *watch
}

// Read is called again when the previous bytes are sent.
func (b *sentBody) Read(p []byte) (int, error) {
	b.tick(func() { b.watch.pause() })
	n, err := b.ReadCloser.Read(p)
	b.watch.sent.Add(int64(n))
	b.tick(func() {
		w := b.watch
		if w.moved += int64(n); w.moved >= minProgress || err != nil { // the response gets the full time again
			w.moved, w.left = 0, w.limit
		}
		w.since = time.Now()
		w.timer.Reset(w.left)
	})
	return n, err
}

// tick changes the clock unless a response has arrived, because the response then owns the clock.
func (b *sentBody) tick(change func()) {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	if !b.watch.answered {
		change()
	}
}

// answerBody is the body of a response.
type answerBody struct {
	io.ReadCloser
	ctx   context.Context // of the request
	watch *watch
}

func (b *answerBody) Read(p []byte) (int, error) {
	b.watch.run()
	n, err := b.ReadCloser.Read(p)
	b.watch.stop(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.watch.stalled(b.ctx, err)
	}
	return n, err
}

func (b *answerBody) Close() error {
	defer b.watch.end()
	return b.ReadCloser.Close()
}

// drop closes an unread response so that its connection can be reused.
func drop(resp *http.Response) {
	if body, ok := resp.Body.(*answerBody); ok {
		body.watch.limitTo(dropTimeout)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxNotice)
	_ = resp.Body.Close()
}
