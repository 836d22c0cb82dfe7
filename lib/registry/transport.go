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
	// idleConns covers the usual number of parallel uploads. The default of net/http is 2.
	idleConns = 16
	// maxHeader is the largest size of the headers of a response, in bytes.
	maxHeader = 1 << 20
	// maxNotice is the largest size of a body that is read only for messages or to reuse the
	// connection, in bytes.
	maxNotice = 64 << 10
	// maxRedirects is the largest number of redirects of one request.
	maxRedirects = 10
)

// newTransport returns an HTTP transport for a registry.
func newTransport(config *tls.Config, timeout time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = config
	t.DisableCompression = true // the digest describes the bytes as they were sent
	t.MaxIdleConnsPerHost = idleConns
	t.MaxResponseHeaderBytes = maxHeader
	// The dialer needs its own timeout, because a connection can outlive the request for which it
	// was made.
	t.DialContext = (&net.Dialer{Timeout: timeout}).DialContext
	t.TLSHandshakeTimeout = timeout
	// Without pings, the next attempt would use a dead HTTP/2 connection again.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: timeout / 2, PingTimeout: timeout / 2}
	return t
}

// request is one request to a registry. It can be sent several times: with a login, with a new
// login, or after redirects.
type request struct {
	method string
	url    *url.URL // without a scheme, which send adds
	header http.Header
	scopes []string                      // the rights that the request needs
	size   int64                         // size of the body; 0 for no body
	body   func() (io.ReadCloser, error) // returns a new body
}

// roundTrip sends a request to u, with an Authorization header unless authorization is empty, and
// returns the response, whatever its status. It follows no redirects. If the request or the
// response stalls, the request ends after Options.Timeout.
func (r *Repository) roundTrip(ctx context.Context, u *url.URL, req request, authorization string) (*http.Response, error) {
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("refusing the scheme %q of %q: expected https", u.Scheme, u.Host)
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
		if isTransient(err) {
			err = &temporaryError{cause: err}
		}
		return nil, err
	}
	if resp.StatusCode < 200 { // 101: a raw connection follows, which the watch cannot end
		w.end()
		_ = resp.Body.Close() // not needed
		return nil, fmt.Errorf("unexpected response %d %s to a %s request", resp.StatusCode, http.StatusText(resp.StatusCode), req.method)
	}
	resp.Body = &answerBody{resp.Body, ctx, w}
	if err := checkStatus(resp, req, w.sent.Load()); err != nil {
		drop(resp)
		return nil, err
	}
	return resp, nil
}

// prepare makes the net/http request with a watched body.
func (r *Repository) prepare(ctx context.Context, u *url.URL, req request, w *watch) (*http.Request, error) {
	sent := (&http.Request{Method: req.method, URL: u, Host: u.Host, Header: req.header.Clone()}).WithContext(ctx)
	if sent.Header == nil {
		sent.Header = make(http.Header)
	}
	if sent.Header.Set("User-Agent", r.opt.UserAgent); r.opt.UserAgent == "" {
		sent.Header["User-Agent"] = nil // suppresses net/http's own header
	}
	if req.size == 0 {
		return sent, nil
	}
	sent.ContentLength = req.size
	sent.GetBody = func() (io.ReadCloser, error) { // for a connection that was closed before anything was sent
		in, err := req.body()
		w.sent.Store(0)
		return &sentBody{in, w}, err
	}
	var err error
	sent.Body, err = sent.GetBody()
	return sent, err
}

// checkStatus returns an error for responses that are worth a retry. sent is the number of bytes of
// the request's body that were sent.
func checkStatus(resp *http.Response, req request, sent int64) error {
	switch {
	case isTemporary(resp.StatusCode):
		return &temporaryError{cause: readStatus(resp), after: retryAfter(resp.Header)}
	case resp.StatusCode < 300 && sent < req.size:
		return &temporaryError{cause: fmt.Errorf("the server responded with %d %s before it received the whole request", resp.StatusCode, http.StatusText(resp.StatusCode))}
	}
	return nil
}

// follow calls hop for a URL and for its redirects. It never changes an unsafe method,
// such as POST, to GET.
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
			return nil, fmt.Errorf("%q redirects a %s to %q in a way that drops the request's body", from, method, u.Host)
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

// location returns the redirect's URL. Errors do not include it, because it can contain signatures.
func location(from *url.URL, resp *http.Response) (*url.URL, error) {
	text := resp.Header.Get("Location")
	if text == "" {
		return nil, errors.New("the response contains no Location header")
	}
	u, err := from.Parse(text)
	if err != nil || u.Host == "" {
		return nil, errors.New("the Location header of the response is not a URL")
	}
	u.User, u.Fragment = nil, "" // a server must not choose credentials
	return u, nil
}

// origin returns the scheme, host and port, which identify a server.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// isTransient reports whether a connection that failed may work the next time.
func isTransient(err error) bool {
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

// isPlain reports whether the error means that the server does not use TLS.
func isPlain(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// plainHosts returns a function that reports whether plain HTTP to a host is allowed for requests
// to a registry.
func plainHosts(registry string, insecure bool) func(host string) bool {
	return func(host string) bool {
		return insecure || isLoopback(registry) && isLoopback(host)
	}
}

// isLoopback reports whether a host name, with or without a port, refers to this machine.
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
