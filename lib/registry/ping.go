package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// plainDelay is how long https may take where plain HTTP would do, before that is tried beside it: some servers of plain
// HTTP wait for the end of a line that a TLS client never sends.
const plainDelay = 300 * time.Millisecond

// pong is how a registry can be spoken to.
type pong struct {
	scheme    string
	challenge challenge
	err       error
}

// connect finds out, once, which scheme the registry speaks and how it wants to be logged in to.
func (r *Repository) connect(ctx context.Context) (*url.URL, error) {
	r.connecting.Lock()
	defer r.connecting.Unlock()
	if r.base != nil {
		return r.base, nil
	}
	first := r.ping(ctx)
	if first.err != nil {
		return nil, first.err
	}
	r.mu.Lock()
	r.base = &url.URL{Scheme: first.scheme, Host: r.host}
	r.mu.Unlock()
	l := r.loginAt(r.base)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.challenge = first.challenge
	return r.base, nil
}

// ping speaks https, and plain HTTP only with a server that does not, where that is allowed.
func (r *Repository) ping(ctx context.Context) pong {
	if !r.plain(r.host) {
		return r.pingOver(ctx, "https")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pongs := make(chan pong, 2)
	try := func(scheme string) { go func() { pongs <- r.pingOver(ctx, scheme) }() }
	try("https")
	late := time.After(plainDelay)
	var failed []pong
	for {
		select {
		case <-late:
			late = nil
			try("http")
		case p := <-pongs:
			if p.err == nil || p.scheme == "https" && speaksTLS(p.err) {
				return p
			}
			if failed = append(failed, p); len(failed) == 2 {
				return worst(failed)
			}
			if late != nil {
				late = nil
				try("http")
			}
		}
	}
}

// speaksTLS tells errors that only a server of TLS can cause.
func speaksTLS(err error) bool { return !isPlain(err) && !isPassing(err) }

// worst is the failure to tell of two: that a server does not speak TLS says nothing of plain HTTP.
func worst(failed []pong) pong {
	if isPlain(failed[0].err) {
		return failed[1]
	}
	return failed[0]
}

// pingOver asks for the root of the API, without a login. A redirect says nothing: only the registry itself says how to
// log in to it.
func (r *Repository) pingOver(ctx context.Context, scheme string) pong {
	p := pong{scheme: scheme}
	resp, err := r.roundTrip(ctx, &url.URL{Scheme: scheme, Host: r.host, Path: "/v2/"}, request{method: http.MethodGet}, "")
	if err != nil {
		p.err = err
		return p
	}
	defer drop(resp)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		p.challenge = chooseChallenge(resp.Header)
	case http.StatusBadRequest: // from plain HTTP to a port of TLS
		if scheme == "http" {
			p.err = fmt.Errorf("the server refuses plain HTTP: %w", readStatus(resp))
		}
	}
	return p
}
