package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// server is an in-memory registry behind a handler that causes faults.
type server struct {
	*httptest.Server
	inner http.Handler

	mu       sync.Mutex
	requests []string // the kinds of requests, in order
	received int64    // bytes of blobs received
	fault    fault
}

// fault replaces the registry's response if it returns true. n counts the requests of this kind
// from 1.
type fault func(kind string, n int, w http.ResponseWriter, r *http.Request) bool

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{inner: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := kindOf(r)
	s.mu.Lock()
	s.requests = append(s.requests, kind)
	f, n := s.fault, count(s.requests, kind)
	s.mu.Unlock()
	if r.Body != nil {
		r.Body = &countedBody{r.Body, s, kind}
	}
	if f == nil || !f(kind, n, w, r) {
		s.inner.ServeHTTP(w, r)
	}
}

type countedBody struct {
	io.ReadCloser
	s    *server
	kind string
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.kind == "PUT blob" || c.kind == "PATCH upload" {
		c.s.mu.Lock()
		c.s.received += int64(n)
		c.s.mu.Unlock()
	}
	return n, err
}

// kindOf returns the test's name for a kind of request.
func kindOf(r *http.Request) string {
	what := "tag"
	switch path := r.URL.Path; {
	case path == "/v2/":
		what = "ping"
	case strings.Contains(path, "/blobs/uploads") && r.Method == http.MethodPut:
		what = "blob"
	case strings.Contains(path, "/blobs/uploads"):
		what = "upload"
	case strings.Contains(path, "/blobs/"):
		what = "blob"
	case strings.Contains(path, "/manifests/sha256:"):
		what = "manifest"
	}
	return r.Method + " " + what
}

func count(kinds []string, kind string) (n int) {
	for _, k := range kinds {
		if k == kind {
			n++
		}
	}
	return n
}

// with sets the fault and resets the recorded requests.
func (s *server) with(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.requests, s.received = f, nil, 0
}

func (s *server) seen(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return count(s.requests, kind)
}

func (s *server) ref(t *testing.T, image string) Ref {
	t.Helper()
	ref, err := ParseRef(strings.TrimPrefix(s.URL, "http://") + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// clock records waits instead of waiting.
type clock struct {
	mu    sync.Mutex
	waits []time.Duration
	warns []string
}

func (c *clock) options() Options {
	return Options{
		UserAgent: "chunkah/test",
		Wait: func(ctx context.Context, d time.Duration) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.waits = append(c.waits, d)
			return ctx.Err()
		},
		Warn: func(s string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.warns = append(c.warns, s)
		},
	}
}

// open opens an image's repository with a clock that does not wait, and without the user's own
// credentials.
func (s *server) open(t *testing.T, image string) (*Repository, *clock) {
	t.Helper()
	noCredentials(t)
	c := &clock{}
	repo, err := Open(s.ref(t, image), c.options())
	if err != nil {
		t.Fatal(err)
	}
	return repo, c
}

// noCredentials hides the user's own credentials.
func noCredentials(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"} {
		t.Setenv(name, dir)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv(envAuths, "")
}

// image is an image to push.
type image struct {
	layers [][]byte
	built  *oci.Built
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func newImage(t *testing.T, layers ...[]byte) *image {
	t.Helper()
	img, err := buildImage(layers...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func buildImage(layers ...[]byte) (*image, error) {
	config := &oci.Config{}
	config.Platform.Architecture, config.Platform.OS = "amd64", "linux"
	img := oci.Image{Config: config}
	for _, l := range layers {
		img.Layers = append(img.Layers, oci.Layer{Descriptor: descriptor(l), DiffID: digest.FromBytes(l)})
	}
	built, err := img.Build()
	return &image{layers, built}, err
}

func descriptor(b []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

// push pushes an image, with its layers in parallel. from lists other images that can contain its
// layers.
func (img *image) push(ctx context.Context, repo *Repository, from ...Ref) error {
	p, err := repo.Push(ctx)
	if err != nil {
		return err
	}
	defer p.Discard()
	other := make(map[digest.Digest]string)
	for _, l := range img.layers {
		for _, f := range from {
			other[digest.FromBytes(l)] = f.String()
		}
	}
	return img.write(p, other)
}

// appear finishes and commits an image.
func appear(p *Push, index []byte) error {
	if _, err := p.Finish(index); err != nil {
		return err
	}
	return p.Commit()
}

// write writes an image to a push. from names other images that contain its blobs.
func (img *image) write(p *Push, from map[digest.Digest]string) error {
	if err := img.blobs(p, from); err != nil {
		return err
	}
	return appear(p, img.built.Index)
}

func (img *image) blobs(p *Push, from map[digest.Digest]string) (err error) {
	errs := make(chan error)
	for _, l := range img.layers {
		go func() { errs <- p.Blob(descriptor(l), oci.Hint{Image: from[digest.FromBytes(l)]}, oci.Data(l)) }()
	}
	for range img.layers {
		if e := <-errs; e != nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	for _, doc := range []oci.Document{img.built.Config, img.built.Manifest} {
		if err := p.Blob(doc.Descriptor, oci.Hint{}, oci.Data(doc.Data)); err != nil {
			return err
		}
	}
	return nil
}

// manifest returns the manifest that a tag names, or nil if the tag does not exist. Faults do not
// apply.
func (s *server) manifest(t *testing.T, tag string) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	s.inner.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/team/app/manifests/"+tag, nil))
	if w.Code != http.StatusOK {
		return nil
	}
	return w.Body.Bytes()
}

// check makes sure that a tag names the image, and that the registry has all blobs of the image.
func (s *server) check(t *testing.T, tag string, img *image) {
	t.Helper()
	if got := s.manifest(t, tag); !bytes.Equal(got, img.built.Manifest.Data) {
		t.Errorf("the tag %q is %q, want %q", tag, got, img.built.Manifest.Data)
	}
	for _, b := range append([][]byte{img.built.Config.Data}, img.layers...) {
		w := httptest.NewRecorder()
		s.inner.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/team/app/blobs/"+digest.FromBytes(b).String(), nil))
		if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), b) {
			t.Errorf("the registry lacks blob %q", digest.FromBytes(b))
		}
	}
}

// The following functions make faults.

// status reads the request and answers with a status and headers.
func status(code int, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		early(code, headers...)(w, r)
	}
}

// early responds before the body is read.
func early(code int, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// breakOff ends the connection after n bytes of the request.
func breakOff(n int64) func(http.ResponseWriter, *http.Request) {
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, n)
		panic(http.ErrAbortHandler)
	}
}

// once applies a fault to the first request of a kind.
func once(kind string, do func(http.ResponseWriter, *http.Request)) fault {
	return times(1, kind, do)
}

// times applies a fault to the first n requests of a kind.
func times(n int, kind string, do func(http.ResponseWriter, *http.Request)) fault {
	return func(k string, i int, w http.ResponseWriter, r *http.Request) bool {
		if k != kind || i > n {
			return false
		}
		do(w, r)
		return true
	}
}

const always = 1 << 30

// contains checks that err contains all of these words.
func contains(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("error %q, want it to say %q", fmt.Sprint(err), word)
		}
	}
}
