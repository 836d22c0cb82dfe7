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
	defaultAttempts = 6                      // about 15 seconds with the waits below
	hopelessTries   = 2                      // if a local connection is refused, or a request stalls
	defaultBackoff  = 500 * time.Millisecond // before the second attempt
	maxBackoff      = 30 * time.Second       // longest wait if the registry sends no Retry-After
	maxRetryAfter   = 5 * time.Minute        // longest Retry-After that is accepted
)

// temporaryError is an error that another attempt may avoid.
type temporaryError struct {
	cause error
	after time.Duration // the registry's Retry-After; 0 if there is none
}

func (e *temporaryError) Error() string { return e.cause.Error() }
func (e *temporaryError) Unwrap() error { return e.cause }

// retry calls try until it succeeds, fails with a permanent error, or has used all attempts. The
// parameter what describes the work in warnings.
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

// pause waits for the next attempt after an attempt has failed with err. It returns an error if no
// further attempt should be made.
func (r *Repository) pause(ctx context.Context, what string, attempt int, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var temporary *temporaryError
	if !errors.As(err, &temporary) {
		return r.explain(err)
	}
	if attempt >= r.opt.Attempts || attempt >= hopelessTries && (refusedLocally(err) || isStall(err)) {
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

// refusedLocally reports whether a connection was refused on the loopback, where waiting rarely
// helps.
func refusedLocally(err error) bool {
	var dial *net.OpError
	if !errors.Is(err, unix.ECONNREFUSED) || !errors.As(err, &dial) || dial.Addr == nil {
		return false
	}
	return isLoopback(dial.Addr.String())
}

// backoff returns the wait after an attempt. It doubles each time, minus a random part of up to
// half, so that many clients do not send their next requests at the same moment.
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

// sleep waits until the time is over or the context ends.
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

// isTemporary reports whether another attempt may return a different status.
func isTemporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// retryAfter parses the Retry-After header, which contains a number of seconds, or a date relative
// to the registry's own clock.
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
