package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// digestHeader is the header that contains the digest of the stored content.
const digestHeader = "Docker-Content-Digest"

// presence describes whether a registry has a blob.
type presence int

const (
	unknown presence = iota // the response was not clear
	absent
	present // the registry has the complete blob
)

// look checks whether the repository contains a blob.
func (p *Push) look(ctx context.Context, d v1.Descriptor) (presence, error) {
	req := request{method: http.MethodHead, url: p.repo.url("blobs", d.Digest.String()), scopes: p.rights()}
	resp, err := p.repo.send(ctx, req, http.StatusOK, http.StatusNotFound)
	var status *statusError
	switch {
	case refuses(err), errors.As(err, &status) && status.code == http.StatusInternalServerError:
		return unknown, nil // missing rights are reported when the blob is sent
	case err != nil:
		return unknown, err
	}
	defer drop(resp)
	if resp.StatusCode == http.StatusNotFound {
		return absent, nil
	}
	// An impossible response is not fatal, because sending the blob replaces the stored blob.
	err = checkAnswer(resp, d.Digest)
	if err == nil && resp.ContentLength >= 0 && resp.ContentLength != d.Size {
		err = fmt.Errorf("the registry reports %d bytes for this blob instead of %d", resp.ContentLength, d.Size)
	}
	if err != nil {
		p.repo.warn("pushing blob %q to %q: %v: sending it again", d.Digest, p.repo.ref.repository(), err)
		return absent, nil
	}
	return present, nil
}

// verify checks that the registry has a blob whose upload it accepted without returning the blob's
// digest. Some servers and proxies answer before they have read everything.
func (p *Push) verify(ctx context.Context, d v1.Descriptor) error {
	found, err := p.look(ctx, d)
	if err == nil && found == absent {
		err = &temporaryError{cause: errors.New("the registry accepted the blob, but reports the blob as missing")}
	}
	return err
}

// checkAnswer compares the digest in a response, if the response contains one.
func checkAnswer(resp *http.Response, want digest.Digest) error {
	if got := resp.Header.Get(digestHeader); got != "" && got != want.String() {
		return fmt.Errorf("the registry reports a different digest, %.*q", maxMessage, got)
	}
	return nil
}

// begin opens an upload and returns its URL.
func (p *Push) begin(ctx context.Context) (*url.URL, error) {
	req := request{method: http.MethodPost, url: p.repo.url("blobs/uploads", ""), scopes: p.rights()}
	resp, err := p.repo.send(ctx, req, http.StatusAccepted)
	if err != nil {
		return nil, err
	}
	defer drop(resp)
	return location(resp.Request.URL, resp)
}

// mount mounts a blob from another repository. Only this request asks for a token with rights to
// both repositories, because the token server can refuse these rights.
func (p *Push) mount(ctx context.Context, d digest.Digest, from string) (done bool, to *url.URL, err error) {
	u := p.repo.url("blobs/uploads", "")
	u.RawQuery = url.Values{"mount": {d.String()}, "from": {from}}.Encode()
	req := request{method: http.MethodPost, url: u, scopes: append(p.rights(), scope(from, "pull"))}
	resp, err := p.repo.send(ctx, req, http.StatusAccepted, http.StatusCreated)
	if err != nil {
		return false, nil, err
	}
	defer drop(resp)
	if resp.StatusCode == http.StatusCreated {
		err = checkAnswer(resp, d)
		return err == nil, nil, err
	}
	to, err = location(resp.Request.URL, resp)
	return false, to, err
}

// cancel cancels an upload on the registry, where it would otherwise stay until it expires. The
// request is sent to no other host.
func (p *Push) cancel(ctx context.Context, location *url.URL) {
	if base, err := p.repo.connect(ctx); err != nil || origin(location) != origin(base) {
		return
	}
	req := request{method: http.MethodDelete, url: location, scopes: p.rights()}
	if resp, err := p.repo.send(ctx, req); err == nil {
		drop(resp)
	}
}

// open finds a way to get the blob into the repository. done means that the repository already
// contains the blob, or that the blob was mounted. Otherwise, the blob must be sent to location.
func (p *Push) open(ctx context.Context, d v1.Descriptor, from string) (done bool, location *url.URL, err error) {
	if found, err := p.look(ctx, d); found == present || err != nil {
		return found == present, nil, err
	}
	if _, closed := p.closed.Load(from); from != "" && !closed {
		done, location, err = p.mount(ctx, d.Digest, from)
		if err == nil {
			return done, location, nil
		}
		// Registries refuse mounts in many ways. In all cases the blob can still be sent.
		var status *statusError
		if !errors.As(err, &status) || status.code != http.StatusNotFound {
			p.closed.Store(from, true)
		}
	}
	location, err = p.begin(ctx)
	return false, location, err
}

// mountable returns the repository of an image if the registry is the same and the repository
// differs, or else an empty string.
func (p *Push) mountable(image string) string {
	ref, err := ParseRef(image)
	if err != nil || ref.Registry != p.repo.ref.Registry || ref.Name == p.repo.ref.Name {
		return ""
	}
	return ref.Name
}

// upload is one attempt to get a blob into the repository. from is another repository that contains
// the blob, or is empty.
func (p *Push) upload(ctx context.Context, d v1.Descriptor, from string, src *bodySource) error {
	done, location, err := p.open(ctx, d, from)
	if done || err != nil {
		return err
	}
	sure, err := p.transfer(ctx, location, d, src)
	if sure || err != nil {
		return err
	}
	return p.verify(ctx, d)
}

// transfer sends a blob in the way that the registry supports. sure means that the registry has
// confirmed the digest.
func (p *Push) transfer(ctx context.Context, location *url.URL, d v1.Descriptor, src *bodySource) (sure bool, err error) {
	if p.inParts.Load() {
		return p.sendParts(ctx, location, d, src)
	}
	sure, err = p.sendWhole(ctx, location, d, src)
	if !refusesWhole(err) || src.failed() != nil {
		return sure, err
	}
	sure, again := p.sendAgain(ctx, d, src)
	if refuses(again) {
		return false, err // err is more useful
	}
	if again == nil {
		p.inParts.Store(true)
	}
	return sure, again
}

// sendAgain sends a blob in parts to a new upload.
func (p *Push) sendAgain(ctx context.Context, d v1.Descriptor, src *bodySource) (sure bool, err error) {
	location, err := p.begin(ctx)
	if err != nil {
		return false, err
	}
	return p.sendParts(ctx, location, d, src)
}

// refusesWhole reports whether an error can mean that the registry does not accept a blob in the
// request that ends its upload.
func refusesWhole(err error) bool {
	var status *statusError
	if !errors.As(err, &status) {
		return false
	}
	switch status.code {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusLengthRequired,
		http.StatusUnsupportedMediaType, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	}
	return false
}

// sendWhole sends a blob in the request that ends its upload.
func (p *Push) sendWhole(ctx context.Context, location *url.URL, d v1.Descriptor, src *bodySource) (sure bool, err error) {
	return p.finish(ctx, p.blobRequest(http.MethodPut, ending(location, d.Digest), src), d)
}

// sendParts sends a blob before the request that ends its upload, as docker does.
func (p *Push) sendParts(ctx context.Context, to *url.URL, d v1.Descriptor, src *bodySource) (sure bool, err error) {
	resp, err := p.repo.send(ctx, p.blobRequest(http.MethodPatch, to, src))
	if err != nil {
		return false, err
	}
	drop(resp)
	if resp.Header.Get("Location") != "" {
		if to, err = location(resp.Request.URL, resp); err != nil {
			return false, err
		}
	}
	return p.finish(ctx, request{method: http.MethodPut, url: ending(to, d.Digest), scopes: p.rights()}, d)
}

// finish ends an upload. sure means that the registry has confirmed the digest.
func (p *Push) finish(ctx context.Context, req request, d v1.Descriptor) (sure bool, err error) {
	resp, err := p.repo.send(ctx, req)
	if err != nil {
		return false, err
	}
	defer drop(resp)
	return resp.Header.Get(digestHeader) != "", checkAnswer(resp, d.Digest)
}

func (p *Push) blobRequest(method string, to *url.URL, src *bodySource) request {
	return request{
		method: method, url: to, scopes: p.rights(), size: src.size, body: src.body,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
	}
}

// ending returns the URL of the request that ends an upload.
func ending(location *url.URL, d digest.Digest) *url.URL {
	u := *location
	query := u.Query()
	query.Set("digest", d.String())
	u.RawQuery = query.Encode()
	return &u
}
