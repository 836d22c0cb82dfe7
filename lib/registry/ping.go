package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// plainDelay is how long https may take before plain HTTP is tried at the same time, if plain HTTP
// is allowed. Some plain HTTP servers wait for the end of a line, which a TLS client never sends.
const plainDelay = 300 * time.Millisecond

// pingResult is the result of a ping.
type pingResult struct {
	scheme    string
	challenge challenge
	err       error
}

// connect determines, only once, which scheme and login the registry uses.
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

// ping uses https. It uses plain HTTP only if plain HTTP is allowed and the server does not support
// TLS.
func (r *Repository) ping(ctx context.Context) pingResult {
	if !r.plain(r.host) {
		return r.pingOver(ctx, "https")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pongs := make(chan pingResult, 2)
	try := func(scheme string) { go func() { pongs <- r.pingOver(ctx, scheme) }() }
	try("https")
	late := time.After(plainDelay)
	var failed []pingResult
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
				return mostUseful(failed)
			}
			if late != nil {
				late = nil
				try("http")
			}
		}
	}
}

// speaksTLS reports whether only a TLS server can cause the error.
func speaksTLS(err error) bool { return !isPlain(err) && !isTransient(err) }

// mostUseful returns the most useful failure. An error that shows only that the server does not use
// TLS does not explain why plain HTTP failed.
func mostUseful(failed []pingResult) pingResult {
	if isPlain(failed[0].err) {
		return failed[1]
	}
	return failed[0]
}

// pingOver requests the root of the API without a login. It does not follow redirects, because only
// the registry itself may specify how to log in.
func (r *Repository) pingOver(ctx context.Context, scheme string) pingResult {
	p := pingResult{scheme: scheme}
	resp, err := r.roundTrip(ctx, &url.URL{Scheme: scheme, Host: r.host, Path: "/v2/"}, request{method: http.MethodGet}, "")
	if err != nil {
		p.err = err
		return p
	}
	defer drop(resp)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		p.challenge = chooseChallenge(resp.Header)
	case http.StatusBadRequest: // plain HTTP sent to a TLS port
		if scheme == "http" {
			p.err = fmt.Errorf("the server refuses plain HTTP: %w", readStatus(resp))
		}
	}
	return p
}
