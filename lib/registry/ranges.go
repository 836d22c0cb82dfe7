package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/chunked"
	"chunkah/lib/oci"
)

// rangesTimeout is the longest time that the check of a finished push may take.
const rangesTimeout = 10 * time.Second

// checkRanges warns if clients cannot fetch parts of layers from the registry. Such clients request
// several ranges in one request, and some registries refuse this. The check needs one small
// request, which is sent only if there are zstd:chunked layers.
func (p *Push) checkRanges(ctx context.Context) {
	d := p.chunked.Load()
	if d == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, rangesTimeout)
	defer cancel()
	req := request{
		method: http.MethodGet, url: p.repo.url("blobs", d.Digest.String()), scopes: p.repo.pull(),
		header: http.Header{"Range": {"bytes=0-0,2-2"}},
	}
	resp, err := p.repo.send(ctx, req, http.StatusPartialContent, http.StatusOK)
	var status *statusError
	switch {
	case err == nil:
		drop(resp)
	case errors.As(err, &status) && status.code == http.StatusBadRequest:
		p.repo.warn("%q responds to a request for several ranges with %q: podman cannot fetch parts of layers from this registry, and pulls whole layers",
			p.repo.ref.repository(), status.Error())
	case errors.As(err, &status):
		p.repo.warn("%q responds to a request for several ranges with %q: podman with enable_partial_images cannot pull this image from this registry: use --compress zstd",
			p.repo.ref.repository(), status.Error())
	}
}

// sawBlob records a blob if clients will request ranges of it.
func (p *Push) sawBlob(d v1.Descriptor) {
	if chunked.Marked(d.Annotations) {
		p.chunked.CompareAndSwap(nil, &d)
	}
}

// BlobRange opens n bytes of a blob, starting at an offset. It does not verify the bytes. If the
// registry does not support ranges, BlobRange returns an error.
func (r *Repository) BlobRange(ctx context.Context, d v1.Descriptor, from, n int64) (io.ReadCloser, error) {
	if err := oci.CheckDescriptor(d); err != nil {
		return nil, fmt.Errorf("reading a blob from %q: %w", r.ref.repository(), err)
	}
	var resp *http.Response
	what := fmt.Sprintf("reading a part of blob %q from %q", d.Digest, r.ref.repository())
	err := r.retry(ctx, what, func() (err error) {
		resp, err = r.send(ctx, request{ //nolint:bodyclose // the caller closes it
			method: http.MethodGet, url: r.url("blobs", d.Digest.String()), scopes: r.pull(),
			header: http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, from+n-1)}},
		}, http.StatusPartialContent)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, n), resp.Body}, nil
}
