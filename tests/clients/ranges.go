package clients

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
)

// A RangeProxy is a proxy for a registry that records requests for blobs. It can refuse requests
// for several ranges, as some registries do.
type RangeProxy struct {
	// Host is the HOST:PORT for clients, on a loopback address.
	Host string
	// Refuse is the status of the response to requests for several ranges. If it is 0, such
	// requests are passed on. Set it before the first request.
	Refuse int

	mu  sync.Mutex
	got Fetched
}

// Fetched describes the parts of blobs that clients fetched.
type Fetched struct {
	Requests int
	Ranges   int   // total number in all requests
	Whole    int   // number of responses that are whole blobs
	Bytes    int64 // total size of all response bodies
}

// NewRangeProxy starts a proxy for the registry at host. It stops when the test ends.
func NewRangeProxy(t testing.TB, host string) *RangeProxy {
	t.Helper()
	p := &RangeProxy{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	proxy.ModifyResponse = func(r *http.Response) error {
		if to := r.Header.Get("Location"); to != "" {
			r.Header.Set("Location", strings.Replace(to, "http://"+host, "http://"+p.Host, 1))
		}
		p.record(r)
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Refuse != 0 && strings.Contains(r.Header.Get("Range"), ",") {
			http.Error(w, "several ranges", p.Refuse)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.Host = strings.TrimPrefix(server.URL, "http://")
	return p
}

// record records a response if it contains a blob.
func (p *RangeProxy) record(r *http.Response) {
	if r.Request.Method != http.MethodGet || !strings.HasSuffix(path.Dir(r.Request.URL.Path), "/blobs") {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got.Requests++
	if ranges := r.Request.Header.Get("Range"); ranges != "" {
		p.got.Ranges += 1 + strings.Count(ranges, ",")
	}
	if r.StatusCode == http.StatusOK {
		p.got.Whole++
	}
	r.Body = &counting{r.Body, p}
}

// Take returns a description of the parts fetched since the last call.
func (p *RangeProxy) Take() Fetched {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = Fetched{}
	return got
}

// counting counts the bytes of a response.
type counting struct {
	io.ReadCloser
	proxy *RangeProxy
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.proxy.got.Bytes += int64(n)
	return n, err
}
