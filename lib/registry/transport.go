package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	// idleConns are as many as there are uploads at once in practice; net/http keeps 2 of them.
	idleConns = 16
	// maxHeader bounds the headers of an answer, in bytes.
	maxHeader = 1 << 20
	// maxNotice bounds a body that nobody needs, in bytes.
	maxNotice = 64 << 10
	// maxRedirects is how many redirects one request may follow.
	maxRedirects = 10
)

// newTransport makes the connections to a registry.
func newTransport(config *tls.Config, timeout time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = config
	t.DisableCompression = true // what is sent is what has the digest
	t.MaxIdleConnsPerHost = idleConns
	t.MaxResponseHeaderBytes = maxHeader
	// A connection may be made for a request that has ended meanwhile.
	t.DialContext = (&net.Dialer{Timeout: timeout}).DialContext
	t.TLSHandshakeTimeout = timeout
	// A dead HTTP/2 connection would be used for the next attempt too.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: timeout / 2, PingTimeout: timeout / 2}
	return t
}

// request is one request to a registry. It may be sent several times: with a login, a renewed one, along redirects.
type request struct {
	method string
	url    *url.URL // without a scheme: the one that the registry speaks
	header http.Header
	scopes []string                      // the rights that it takes
	size   int64                         // of the body; 0 for none
	body   func() (io.ReadCloser, error) // begins the body anew
}

// roundTrip sends a request to u, with an Authorization header unless that is empty, and returns the answer whatever its
// status. It follows nothing. Nothing of the request or the answer is waited for longer than Options.Timeout.
func (r *Repository) roundTrip(ctx context.Context, u *url.URL, req request, authorization string) (*http.Response, error) {
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("refusing the scheme %q of %q: want https", u.Scheme, u.Host)
	}
	if u.Scheme == "http" && !r.plain(u.Host) {
		return nil, fmt.Errorf("refusing plain HTTP to %q, which is not a loopback address: allow it with --insecure", u.Host)
	}
	w, ctx := newWatch(ctx, r.opt.Timeout)
	sent, err := r.prepare(ctx, u, req, w)
	if err != nil {
		w.end()
		return nil, err
	}
	if authorization != "" {
		sent.Header.Set("Authorization", authorization)
	}
	resp, err := r.inner.RoundTrip(sent)
	w.answer()
	if err != nil {
		w.end()
		err = w.stalled(ctx, err)
		if isPassing(err) {
			err = &temporaryError{cause: err}
		}
		return nil, err
	}
	if resp.StatusCode < 200 { // 101: what follows is a connection, which the watch does not end
		w.end()
		_ = resp.Body.Close() // of no use
		return nil, fmt.Errorf("the server answers with %d %s, which is not an answer to a %s", resp.StatusCode, http.StatusText(resp.StatusCode), req.method)
	}
	resp.Body = &answerBody{resp.Body, ctx, w}
	if err := checkStatus(resp, req, w.sent.Load()); err != nil {
		drop(resp)
		return nil, err
	}
	return resp, nil
}

// prepare makes the request of net/http, whose body is watched.
func (r *Repository) prepare(ctx context.Context, u *url.URL, req request, w *watch) (*http.Request, error) {
	sent := (&http.Request{Method: req.method, URL: u, Host: u.Host, Header: req.header.Clone()}).WithContext(ctx)
	if sent.Header == nil {
		sent.Header = make(http.Header)
	}
	if sent.Header.Set("User-Agent", r.opt.UserAgent); r.opt.UserAgent == "" {
		sent.Header["User-Agent"] = nil // not net/http's own
	}
	if req.size == 0 {
		return sent, nil
	}
	sent.ContentLength = req.size
	sent.GetBody = func() (io.ReadCloser, error) { // again where a connection was closed before anything was sent
		in, err := req.body()
		w.sent.Store(0)
		return &sentBody{in, w}, err
	}
	var err error
	sent.Body, err = sent.GetBody()
	return sent, err
}

// checkStatus refuses answers that may be another next time. sent is how much of the request's body was sent.
func checkStatus(resp *http.Response, req request, sent int64) error {
	switch {
	case isTemporary(resp.StatusCode):
		return &temporaryError{cause: readStatus(resp), after: retryAfter(resp.Header)}
	case resp.StatusCode < 300 && sent < req.size:
		return &temporaryError{cause: fmt.Errorf("the server answers with %d %s before all is sent", resp.StatusCode, http.StatusText(resp.StatusCode))}
	}
	return nil
}

// follow calls hop for a URL, and for those that it redirects to. A request that changes something is not turned into one
// that reads.
func follow(u *url.URL, method string, hop func(*url.URL) (*http.Response, error)) (*http.Response, error) {
	for range maxRedirects {
		resp, err := hop(u)
		if err != nil || !isRedirect(resp) {
			return resp, err
		}
		drop(resp)
		keeps := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
		from := u.Host
		if u, err = location(u, resp); err != nil {
			return nil, fmt.Errorf("following a redirect of %q: %w", from, err)
		}
		if !keeps && method != http.MethodGet && method != http.MethodHead {
			return nil, fmt.Errorf("%q redirects a %s to %q in a way that drops what is sent", from, method, u.Host)
		}
	}
	return nil, fmt.Errorf("stopped after %d redirects, the last one to %q", maxRedirects, u.Host)
}

func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// location is where an answer leads. What is wrong with it is not shown: it may hold signatures.
func location(from *url.URL, resp *http.Response) (*url.URL, error) {
	text := resp.Header.Get("Location")
	if text == "" {
		return nil, errors.New("the server does not say where to (no Location)")
	}
	u, err := from.Parse(text)
	if err != nil || u.Host == "" {
		return nil, errors.New("the Location that the server answers with is not a URL")
	}
	u.User, u.Fragment = nil, "" // a server's own words for a login
	return u, nil
}

// origin names a scheme, host and port, of which each other one is another server.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// isPassing tells whether a connection that failed may work the next time.
func isPassing(err error) bool {
	var certificate *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.As(err, &certificate), isAlert(err), isPlain(err):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return true
}

func isAlert(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert)
}

// isPlain tells that a server does not speak TLS.
func isPlain(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// plainHosts tells which hosts may be spoken to in plain HTTP on behalf of a registry.
func plainHosts(registry string, insecure bool) func(host string) bool {
	return func(host string) bool {
		return insecure || isLoopback(registry) && isLoopback(host)
	}
}

// isLoopback tells whether a host, with or without a port, is this machine by its very name.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}
