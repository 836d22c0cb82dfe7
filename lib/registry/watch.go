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
	// defaultTimeout is how long a registry may make no progress. Some move a large blob to its place before they answer.
	defaultTimeout = time.Minute
	// minProgress is how much has to move in that time, in bytes, to count as progress: about 1 kB/s by default. What is
	// smaller, such as headers and most manifests, has to be there within that time.
	minProgress = 64 << 10
	// dropTimeout bounds the wait for the rest of an answer that is only read so that its connection can be used again.
	dropTimeout = time.Second
)

// errStalled is why a request without progress is ended.
var errStalled = errors.New("no progress")

// watch ends a request that makes no progress. Its clock runs only while the request waits for the network, and not
// while this program makes the bytes to be sent or uses those that came.
type watch struct {
	limit  time.Duration
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer
	left     time.Duration // until the request counts as stalled
	since    time.Time     // when the clock began to run; zero while it stands still
	moved    int64         // bytes since there was progress
	answered bool          // there is an answer: what is still sent does not count

	sent atomic.Int64 // bytes of the request's body, of its last beginning
}

// newWatch returns a watch whose clock runs, and the context that it ends.
func newWatch(ctx context.Context, limit time.Duration) (*watch, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: limit, cancel: cancel, left: limit, since: time.Now()}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	return w, ctx
}

// run lets the clock run.
func (w *watch) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
	w.timer.Reset(w.left)
}

// stop stops the clock: n bytes have moved.
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

// answer stops the clock: there is an answer, and its body has all the time again.
func (w *watch) answer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pause()
	w.answered, w.moved, w.left = true, 0, w.limit
}

// hurry leaves no more than so much time.
func (w *watch) hurry(most time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = min(w.left, most)
}

// end gives back what the watch takes.
func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// stalled turns the error of a request that the watch has ended into one that says so.
func (w *watch) stalled(ctx context.Context, err error) error {
	if err == nil || !errors.Is(context.Cause(ctx), errStalled) {
		return err
	}
	return fmt.Errorf("%w for %s: if the registry is only slow, raise --registry-timeout", errStalled, w.limit)
}

// isStall tells errors of waiting in vain.
func isStall(err error) bool {
	var timeout net.Error
	return errors.Is(err, errStalled) || errors.As(err, &timeout) && timeout.Timeout()
}

// sentBody is the body of a request.
type sentBody struct {
	io.ReadCloser
	watch *watch
}

// Read is called when what it returned before is sent.
func (b *sentBody) Read(p []byte) (int, error) {
	b.tick(func() { b.watch.pause() })
	n, err := b.ReadCloser.Read(p)
	b.watch.sent.Add(int64(n))
	b.tick(func() {
		w := b.watch
		if w.moved += int64(n); w.moved >= minProgress || err != nil { // the answer has all the time again
			w.moved, w.left = 0, w.limit
		}
		w.since = time.Now()
		w.timer.Reset(w.left)
	})
	return n, err
}

// tick changes the clock, unless there is an answer, whose clock it then is.
func (b *sentBody) tick(change func()) {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	if !b.watch.answered {
		change()
	}
}

// answerBody is the body of an answer.
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

// drop closes a response that nobody reads on, in a way that lets its connection be used again.
func drop(resp *http.Response) {
	if body, ok := resp.Body.(*answerBody); ok {
		body.watch.hurry(dropTimeout)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxNotice)
	_ = resp.Body.Close()
}
