package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// digestHeader is where registries say what they have stored.
const digestHeader = "Docker-Content-Digest"

// has asks whether the registry has a blob in the repository, whole.
func (p *Push) has(ctx context.Context, d v1.Descriptor) (bool, error) {
	client, req, err := p.request(ctx, http.MethodHead, p.repo.url("blobs", d.Digest.String()))
	if err != nil {
		return false, err
	}
	resp, err := send(client, req, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return false, err
	}
	defer drop(resp)
	if resp.StatusCode == http.StatusNotFound {
		return false, nil
	}
	// What cannot be true is no reason to stop: the blob is sent, and takes the place of what is there.
	if resp.ContentLength >= 0 && resp.ContentLength != d.Size {
		p.repo.warn("pushing blob %q to %q: the registry has it with %d bytes in place of %d: sending it again", d.Digest, p.repo.ref.repository(), resp.ContentLength, d.Size)
		return false, nil
	}
	if err := checkAnswer(resp, d.Digest); err != nil {
		p.repo.warn("pushing blob %q to %q: %v: sending it again", d.Digest, p.repo.ref.repository(), err)
		return false, nil
	}
	return true, nil
}

// checkAnswer compares the digest that a registry names, if it does.
func checkAnswer(resp *http.Response, want digest.Digest) error {
	if got := resp.Header.Get(digestHeader); got != "" && got != want.String() {
		return fmt.Errorf("the registry calls it %.*q", maxMessage, got)
	}
	return nil
}

// mount makes the blob of another repository one of this. Where that does not work it returns where to send the blob to.
func (p *Push) mount(ctx context.Context, d digest.Digest, from string) (done bool, location *url.URL, err error) {
	u := p.repo.url("blobs/uploads", "")
	u.RawQuery = url.Values{"mount": {d.String()}, "from": {from}}.Encode()
	return p.begin(ctx, u, d)
}

// begin opens an upload, or mounts a blob if u says so.
func (p *Push) begin(ctx context.Context, u *url.URL, d digest.Digest) (done bool, location *url.URL, err error) {
	client, req, err := p.request(ctx, http.MethodPost, u)
	if err != nil {
		return false, nil, err
	}
	want := []int{http.StatusAccepted}
	if u.RawQuery != "" {
		want = append(want, http.StatusCreated)
	}
	resp, err := send(client, req, want...)
	if err != nil {
		return false, nil, err
	}
	defer drop(resp)
	if resp.StatusCode == http.StatusCreated {
		return true, nil, checkAnswer(resp, d)
	}
	place := resp.Header.Get("Location")
	if place == "" {
		return false, nil, errors.New("the registry opens an upload and does not say where to (no Location)")
	}
	if location, err = resp.Request.URL.Parse(place); err != nil {
		return false, nil, fmt.Errorf("reading the Location of an upload: %w", err)
	}
	return false, location, nil
}

// cancel gives an upload up. It is a courtesy to the registry, which would forget it by itself, and to no other host.
func (p *Push) cancel(ctx context.Context, location *url.URL) {
	if location.Host != p.repo.registry.RegistryStr() {
		return
	}
	client, req, err := p.request(ctx, http.MethodDelete, location)
	if err != nil {
		return
	}
	if resp, err := client.Do(req); err == nil {
		drop(resp)
	}
}

// open finds a way to get the blob into the repository: it is there, or can be mounted, or else goes to location. Registries
// refuse a mount in many ways: whatever one says, the blob can still be sent.
func (p *Push) open(ctx context.Context, d v1.Descriptor) (done bool, location *url.URL, err error) {
	if done, err = p.has(ctx, d); done || err != nil {
		return done, nil, err
	}
	for _, from := range p.from {
		if location != nil {
			p.cancel(ctx, location)
		}
		done, location, err = p.mount(ctx, d.Digest, from)
		if done && err == nil {
			return true, nil, nil
		}
	}
	if location != nil {
		return false, location, nil
	}
	return p.begin(ctx, p.repo.url("blobs/uploads", ""), d.Digest)
}

// upload is one attempt to get a blob into the repository.
func (p *Push) upload(ctx context.Context, d v1.Descriptor, src *source) error {
	done, location, err := p.open(ctx, d)
	if done || err != nil {
		return err
	}
	query := location.Query()
	query.Set("digest", d.Digest.String())
	location.RawQuery = query.Encode()
	client, req, err := p.request(ctx, http.MethodPut, location)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.ContentLength = d.Size
	req.GetBody = src.body
	if req.Body, err = src.body(); err != nil {
		return err
	}
	resp, err := send(client, req, http.StatusCreated, http.StatusOK, http.StatusNoContent)
	if err != nil {
		return err
	}
	defer drop(resp)
	return checkAnswer(resp, d.Digest)
}

// source turns a write function into request bodies. There may be several, after redirects, renewed logins and failures,
// but write runs only for one that is read, and never twice at once.
type source struct {
	size  int64
	write func(io.Writer) error

	turn    sync.Mutex     // held while write runs
	running sync.WaitGroup // the calls of write that have not returned

	mu     sync.Mutex
	latest *body
	err    error // of write itself: no other attempt makes it good
}

// body is the whole of a source once. Write begins when it is first read.
type body struct {
	*io.PipeReader
	src   *source
	pipe  *io.PipeWriter
	begin sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	b.begin.Do(b.start)
	return b.PipeReader.Read(p)
}

// start lets write run, unless nobody waits for it any more.
func (b *body) start() {
	s := b.src
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != b {
		return
	}
	s.running.Go(func() {
		s.turn.Lock()
		defer s.turn.Unlock()
		_ = b.pipe.CloseWithError(s.run(b.pipe)) // never fails
	})
}

// errUnwanted is what write meets when nobody reads on.
var errUnwanted = errors.New("the upload has ended")

// body begins anew, and ends the one before.
func (s *source) body() (io.ReadCloser, error) {
	if s.size == 0 {
		return http.NoBody, nil
	}
	r, w := io.Pipe()
	b := &body{PipeReader: r, src: s, pipe: w}
	s.replace(b)
	return b, nil
}

func (s *source) replace(b *body) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil {
		_ = s.latest.CloseWithError(errUnwanted) // never fails
	}
	s.latest = b
}

// wait ends what is read, waits until write runs no more, and returns its error.
func (s *source) wait() error {
	s.replace(nil)
	s.running.Wait()
	return s.err
}

// run calls write and checks how much it writes.
func (s *source) run(w io.Writer) error {
	c := &counter{w: w, left: s.size}
	err := s.write(c)
	switch {
	case c.broken: // which is not write's fault, whatever it made of it
		return c.err
	case c.err != nil:
		err = c.err
	case err == nil && c.left > 0:
		err = fmt.Errorf("%d of %d bytes are missing", c.left, s.size)
	}
	if err != nil {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return err
}

var errTooLong = errors.New("more bytes than the size announced")

// counter bounds what is written to w. Its first error stays.
type counter struct {
	w      io.Writer
	left   int64
	err    error
	broken bool // the error is that of w
}

func (c *counter) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if int64(len(b)) > c.left {
		c.err = errTooLong
		return 0, c.err
	}
	n, err := c.w.Write(b)
	c.left -= int64(n)
	c.err, c.broken = err, err != nil
	return n, err
}
