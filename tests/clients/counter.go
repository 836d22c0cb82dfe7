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

// A Counter is a proxy for a registry that counts the bytes of the responses.
type Counter struct {
	// Host is the HOST:PORT for clients, on a loopback address.
	Host string

	mu   sync.Mutex
	sent map[Answer]int64
}

// An Answer identifies a kind of response: the requested path, and the status.
type Answer struct {
	Path   string
	Status int
}

// NewCounter starts a proxy for the registry at host. It stops when the test ends.
func NewCounter(t testing.TB, host string) *Counter {
	t.Helper()
	c := &Counter{sent: map[Answer]int64{}}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	proxy.ModifyResponse = func(r *http.Response) error {
		// Without this change, clients would upload directly to the registry.
		if to := r.Header.Get("Location"); to != "" {
			r.Header.Set("Location", strings.Replace(to, "http://"+host, "http://"+c.Host, 1))
		}
		r.Body = &counted{r.Body, c, Answer{r.Request.URL.Path, r.StatusCode}}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	c.Host = strings.TrimPrefix(server.URL, "http://")
	return c
}

// Take returns the number of bytes of all responses since the last call.
func (c *Counter) Take() map[Answer]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent := c.sent
	c.sent = map[Answer]int64{}
	return sent
}

// TakeBlobs returns the number of bytes of the blobs that were sent since the last call, by digest.
func (c *Counter) TakeBlobs() map[string]int64 {
	blobs := map[string]int64{}
	for a, n := range c.Take() {
		if strings.HasSuffix(path.Dir(a.Path), "/blobs") && a.Status < http.StatusMultipleChoices && n > 0 {
			blobs[path.Base(a.Path)] += n
		}
	}
	return blobs
}

// counted counts the bytes of one response.
type counted struct {
	io.ReadCloser
	counter *Counter
	answer  Answer
}

func (b *counted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.counter.mu.Lock()
	defer b.counter.mu.Unlock()
	b.counter.sent[b.answer] += int64(n)
	return n, err
}
