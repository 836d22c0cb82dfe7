package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	defaultAttempts = 6                      // with the waits below about a quarter of a minute
	hopelessTries   = 2                      // where nobody listens on this machine, or nothing moves for long
	defaultBackoff  = 500 * time.Millisecond // before the second attempt
	maxBackoff      = 30 * time.Second       // no wait of ours is longer
	maxRetryAfter   = 5 * time.Minute        // no wait that a registry asks for may be longer
)

// temporaryError is one that another try may not meet.
type temporaryError struct {
	cause error
	after time.Duration // how long the registry asks to be left alone; 0 if it does not say
}

func (e *temporaryError) Error() string { return e.cause.Error() }
func (e *temporaryError) Unwrap() error { return e.cause }

// retry calls try until it succeeds, has an error that is there to stay, or has been called often enough. what names the
// work in warnings.
func (r *Repository) retry(ctx context.Context, what string, try func() error) error {
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil {
			return nil
		}
		if again := r.pause(ctx, what, attempt, err); again != nil {
			return again
		}
	}
}

// pause waits for the next attempt, after one that ended with err. An error says that there is to be none.
func (r *Repository) pause(ctx context.Context, what string, attempt int, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var temporary *temporaryError
	if !errors.As(err, &temporary) {
		return r.explain(err)
	}
	if attempt >= r.opt.Attempts || attempt >= hopelessTries && (refusedHere(err) || isStall(err)) {
		return fmt.Errorf("tried %d times: %w: try again later", attempt, r.explain(err))
	}
	if temporary.after > maxRetryAfter {
		return fmt.Errorf("%w: the registry asks to try again in %s", r.explain(err), temporary.after)
	}
	wait := r.backoff(attempt)
	if temporary.after > 0 {
		wait = temporary.after
	}
	r.warn("%s: %v: trying again in %s", what, r.explain(err), wait.Round(time.Millisecond))
	if r.opt.Wait(ctx, wait) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// refusedHere tells a connection that was refused on the loopback: no network lies between that may be back soon.
func refusedHere(err error) bool {
	var dial *net.OpError
	if !errors.Is(err, unix.ECONNREFUSED) || !errors.As(err, &dial) || dial.Addr == nil {
		return false
	}
	return isLoopback(dial.Addr.String())
}

// backoff is the wait after so many attempts: doubled each time, with up to half of it left out by chance, so that many
// clients that a registry has lost at once do not come back at once.
func (r *Repository) backoff(attempt int) time.Duration {
	wait := r.opt.Backoff
	for range attempt - 1 {
		if wait *= 2; wait > maxBackoff {
			wait = maxBackoff
			break
		}
	}
	return wait - rand.N(wait/2+1)
}

// sleep waits, but not beyond the end of the context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isTemporary tells statuses that may be another the next time.
func isTemporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// retryAfter reads that header: seconds, or a date, of which the registry's own clock is taken.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	then, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, then.Sub(now))
}
