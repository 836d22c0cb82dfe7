package registry

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// Manifest reads the manifest or index with the tag or digest ref. It also returns the media type
// from the registry's response, or an empty string if the response contains none. If ref is a
// digest, the data match this digest.
func (r *Repository) Manifest(ctx context.Context, ref string) (data []byte, mediaType string, err error) {
	if err := checkIdentifier(ref); err != nil {
		return nil, "", fmt.Errorf("reading a manifest from %q: %w", r.ref.repository(), err)
	}
	err = r.retry(ctx, fmt.Sprintf("reading manifest %q from %q", ref, r.ref.repository()), func() error {
		data, mediaType, err = r.readManifest(ctx, ref)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("reading manifest %q from %q: %w", ref, r.ref.repository(), err)
	}
	return data, mediaType, nil
}

// checkIdentifier refuses a ref that is neither a digest nor a tag, because such a ref would change
// the URL's path.
func checkIdentifier(ref string) error {
	if strings.Contains(ref, ":") {
		if err := digest.Digest(ref).Validate(); err != nil {
			return fmt.Errorf("digest %q: %w", ref, err)
		}
	} else if ref == "" || strings.Contains(ref, "/") {
		return fmt.Errorf("%q is neither a tag nor a digest", ref)
	}
	return nil
}

func (r *Repository) readManifest(ctx context.Context, ref string) ([]byte, string, error) {
	resp, err := r.send(ctx, request{
		method: http.MethodGet, url: r.url("manifests", ref), scopes: r.pull(),
		header: http.Header{"Accept": {strings.Join(manifestTypes, ", ")}},
	}, http.StatusOK)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	data, err := readDocument(resp, oci.MaxDocument)
	if err != nil {
		return nil, "", err
	}
	if want := digest.Digest(ref); want.Validate() == nil {
		if got := want.Algorithm().FromBytes(data); got != want {
			return nil, "", fmt.Errorf("the registry sent content with the digest %q", got)
		}
	}
	return data, manifestType(resp.Header.Get("Content-Type")), nil
}

// pull returns the scope for reading.
func (r *Repository) pull() []string { return []string{scope(r.ref.Name, "pull")} }

// manifestTypes are the media types of manifests and indexes.
var manifestTypes = []string{v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, oci.MediaTypeDockerIndex, oci.MediaTypeDockerManifest}

// IsManifest reports whether a media type belongs to a manifest or an index, which registries store
// separately from blobs.
func IsManifest(mediaType string) bool { return slices.Contains(manifestTypes, mediaType) }

// manifestType returns the media type in a Content-Type header. For a general type it returns an
// empty string. In that case the manifest itself contains its type.
func manifestType(contentType string) string {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || !IsManifest(mediaType) {
		return ""
	}
	return mediaType
}

// readDocument reads a whole body, up to most bytes. Some servers and proxies compress the body
// although the client did not request compression. No document begins like gzip data.
func readDocument(resp *http.Response, most int64) ([]byte, error) {
	in := bufio.NewReader(resp.Body)
	var body io.Reader = in
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return nil, &temporaryError{cause: err}
		}
		body = unpacked
	}
	data, err := io.ReadAll(io.LimitReader(body, most+1))
	switch {
	case err != nil:
		return nil, &temporaryError{cause: err}
	case int64(len(data)) > most:
		return nil, fmt.Errorf("larger than the limit of %d bytes", most)
	}
	return data, nil
}

// Blob reads a blob. The reader returns io.EOF only after d.Size bytes with the right digest. If
// the connection breaks, the reader continues over a new connection. The caller closes the reader.
func (r *Repository) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if err := oci.CheckDescriptor(d); err != nil {
		return nil, fmt.Errorf("reading a blob from %q: %w", r.ref.repository(), err)
	}
	b := &blobReader{ctx: ctx, repo: r, d: d, hash: d.Digest.Algorithm().Hash(), attempt: 1}
	if err := b.connect(); err != nil {
		return nil, b.fail(err)
	}
	return b, nil
}

// freshStart is how many bytes of a blob one connection must deliver to reset the number of
// attempts. A large blob therefore survives more interruptions than a small blob, and a download
// that makes hardly any progress eventually fails.
const freshStart = 1 << 20

// blobReader reads a blob, over several connections if necessary. It stores the blob's context
// because Read has no context parameter.
type blobReader struct {
	ctx      context.Context
	repo     *Repository
	d        v1.Descriptor
	hash     hash.Hash
	body     io.ReadCloser // nil between connections
	offset   int64         // bytes read
	begun    int64         // offset at the start of this connection
	attempt  int           // attempts since the last progress
	noRanges bool          // the server does not support ranges
	err      error         // the final error
}

func (b *blobReader) Read(p []byte) (int, error) {
	for b.err == nil {
		if b.offset == b.d.Size {
			b.err = b.finish()
			break
		}
		if b.body == nil {
			if err := b.connect(); err != nil {
				b.err = b.fail(err)
				break
			}
		}
		n, err := b.body.Read(p[:min(int64(len(p)), b.d.Size-b.offset)])
		b.hash.Write(p[:n])
		b.offset += int64(n)
		if err != nil && b.offset < b.d.Size {
			b.err = b.interrupted(err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	return 0, b.err
}

// interrupted prepares for another connection.
func (b *blobReader) interrupted(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	_ = b.body.Close() // already broken
	b.body = nil
	if b.offset-b.begun >= freshStart {
		b.attempt = 1
	}
	err = &temporaryError{cause: fmt.Errorf("after %d of %d bytes: %w", b.offset, b.d.Size, err)}
	if err = b.repo.pause(b.ctx, b.what(), b.attempt, err); err != nil {
		return b.fail(err)
	}
	b.attempt++
	return nil
}

// finish checks the digest and that no more bytes follow.
func (b *blobReader) finish() error {
	if got := digest.NewDigest(b.d.Digest.Algorithm(), b.hash); got != b.d.Digest {
		return b.fail(fmt.Errorf("the registry sent content with the digest %q", got))
	}
	if b.body != nil {
		if n, _ := io.ReadFull(b.body, make([]byte, 1)); n > 0 {
			return b.fail(fmt.Errorf("the registry sent more than the expected %d bytes", b.d.Size))
		}
	}
	return io.EOF
}

// connect requests the blob, starting at the offset, until a response arrives or no attempts are
// left.
func (b *blobReader) connect() error {
	for ; ; b.attempt++ {
		err := b.open()
		if err == nil {
			b.begun = b.offset
			return nil
		}
		if err := b.repo.pause(b.ctx, b.what(), b.attempt, err); err != nil {
			return err
		}
	}
}

func (b *blobReader) open() error {
	req := request{method: http.MethodGet, url: b.repo.url("blobs", b.d.Digest.String()), scopes: b.repo.pull(), header: http.Header{}}
	if b.offset > 0 && !b.noRanges {
		req.header.Set("Range", fmt.Sprintf("bytes=%d-%d", b.offset, b.d.Size-1)) // some servers do not support open ranges
	}
	resp, err := b.repo.send(b.ctx, req, http.StatusOK, http.StatusPartialContent)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable && !b.noRanges {
		b.noRanges = true // the range is valid, but this server refuses ranges
		return b.open()
	}
	if err != nil {
		return err
	}
	if err := b.position(resp); err != nil {
		_ = resp.Body.Close() // not needed
		return err
	}
	b.body = resp.Body
	return nil
}

// position checks the range of a response and skips the bytes before the offset.
func (b *blobReader) position(resp *http.Response) error {
	skip, rest := b.offset, b.d.Size // a server without ranges starts at the beginning
	if resp.StatusCode == http.StatusPartialContent {
		skip, rest = 0, b.d.Size-b.offset
		var from int64
		got := resp.Header.Get("Content-Range")
		if _, err := fmt.Sscanf(got, "bytes %d-", &from); err != nil || from != b.offset {
			return fmt.Errorf("requested the bytes from %d to the end, but the registry sent the range %.*q", b.offset, maxMessage, got)
		}
	}
	if resp.ContentLength >= 0 && resp.ContentLength != rest {
		return fmt.Errorf("the registry announces %d bytes, expected the remaining %d", resp.ContentLength, rest)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, skip); err != nil {
		return &temporaryError{cause: err}
	}
	return nil
}

// Close closes the connection. Its error is ignored: only io.EOF guarantees a complete blob.
func (b *blobReader) Close() error {
	if b.err == nil {
		b.err = fmt.Errorf("blob %q is closed", b.d.Digest)
	}
	if b.body != nil {
		_ = b.body.Close() // ignored, as described above
		b.body = nil
	}
	return nil
}

func (b *blobReader) what() string {
	return fmt.Sprintf("reading blob %q from %q", b.d.Digest, b.repo.ref.repository())
}

func (b *blobReader) fail(err error) error { return fmt.Errorf("%s: %w", b.what(), err) }
