package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// answerTimeout is how long a registry may take to answer a whole request: some move a blob to its place before they
	// do.
	answerTimeout = 10 * time.Minute
	// idleConns are as many as there are uploads at once in practice; net/http keeps 2 of them.
	idleConns = 16
	// maxNotice bounds a body that nobody needs, in bytes.
	maxNotice = 64 << 10
)

// newTransport makes the connections to a registry.
func newTransport(config *tls.Config) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = config
	t.DisableCompression = true // what is sent is what has the digest
	t.MaxIdleConnsPerHost = idleConns
	t.ResponseHeaderTimeout = answerTimeout
	return t
}

// courier lies between net/http and what logs in. It refuses plain HTTP where that is not allowed, wherever redirects
// lead, and tells errors that another try may not meet.
type courier struct {
	inner http.RoundTripper
	plain func(host string) bool // whether it may be spoken to in plain HTTP
}

func (c *courier) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !c.plain(req.URL.Host) {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was read
		}
		return nil, fmt.Errorf("refusing plain HTTP to %q, which is not a loopback address: allow it with --insecure", req.URL.Host)
	}
	if req.GetBody != nil { // what logs in sends a request again whose body is used up
		fresh, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		_ = req.Body.Close() // nothing was read
		req = req.WithContext(req.Context())
		req.Body = fresh
	}
	resp, err := c.inner.RoundTrip(req)
	if err != nil {
		if isPassing(err) {
			err = &temporaryError{cause: err}
		}
		return nil, err
	}
	if isTemporary(resp.StatusCode) {
		defer resp.Body.Close()
		return nil, &temporaryError{cause: transport.CheckError(resp), after: retryAfter(resp.Header)}
	}
	if req.URL.Path == "/v2/" { // a body that go-containerregistry reads to its end, however far that is
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxNotice), resp.Body}
	}
	return resp, nil
}

// isPassing tells whether a connection that failed may work the next time.
func isPassing(err error) bool {
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &record):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return true
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
