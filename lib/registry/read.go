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

// Manifest reads the manifest or index that ref, a tag or a digest, names, and its media type as the registry tells it:
// empty where it does not. With a digest, the data has it.
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

// checkIdentifier refuses what is neither a digest nor could be a tag, and would be another address.
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
			return nil, "", fmt.Errorf("what the registry sends has the digest %q", got)
		}
	}
	return data, manifestType(resp.Header.Get("Content-Type")), nil
}

// pull are the rights that reading takes.
func (r *Repository) pull() []string { return []string{scope(r.ref.Name, "pull")} }

// manifestTypes are the media types of manifests and indexes.
var manifestTypes = []string{v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, oci.MediaTypeDockerIndex, oci.MediaTypeDockerManifest}

// IsManifest reports whether a media type is that of a manifest or an index, which registries keep apart from blobs.
func IsManifest(mediaType string) bool { return slices.Contains(manifestTypes, mediaType) }

// manifestType is what a Content-Type says of a manifest; empty where it is one for everything, and the manifest itself
// says what it is.
func manifestType(contentType string) string {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || !IsManifest(mediaType) {
		return ""
	}
	return mediaType
}

// readDocument reads the whole body of an answer, of at most so many bytes. Some servers and proxies compress what nobody
// asked them to; no document begins as gzip does.
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
		return nil, fmt.Errorf("it is larger than the %d bytes that are read of it", most)
	}
	return data, nil
}

// Blob reads a blob. The reader ends with io.EOF only when all of d.Size bytes were read and have the digest; where the
// connection breaks it goes on with another one. It has to be closed.
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

// freshStart is how much of a blob has to come through one connection, in bytes, for the attempts to be counted anew: so
// a large blob survives more interruptions than a small one, and one that hardly moves comes to an end.
const freshStart = 1 << 20

// blobReader reads a blob over as many connections as it takes. The context is that of the blob, whose Read has none.
type blobReader struct {
	ctx      context.Context
	repo     *Repository
	d        v1.Descriptor
	hash     hash.Hash
	body     io.ReadCloser // nil between connections
	offset   int64         // how much was read
	begun    int64         // the offset at which this connection began
	attempt  int           // since something was read
	noRanges bool          // the server refuses to send a part
	err      error         // stays
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

// interrupted gets ready for another connection.
func (b *blobReader) interrupted(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	_ = b.body.Close() // broken already
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

// finish makes sure that the blob is what was asked for, and all that is sent.
func (b *blobReader) finish() error {
	if got := digest.NewDigest(b.d.Digest.Algorithm(), b.hash); got != b.d.Digest {
		return b.fail(fmt.Errorf("what the registry sends has the digest %q", got))
	}
	if b.body != nil {
		if n, _ := io.ReadFull(b.body, make([]byte, 1)); n > 0 {
			return b.fail(fmt.Errorf("the registry sends more than its %d bytes", b.d.Size))
		}
	}
	return io.EOF
}

// connect asks for the blob from the offset on, until there is an answer or the attempts are used up.
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
		req.header.Set("Range", fmt.Sprintf("bytes=%d-%d", b.offset, b.d.Size-1)) // not all servers know ranges without an end
	}
	resp, err := b.repo.send(b.ctx, req, http.StatusOK, http.StatusPartialContent)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable && !b.noRanges {
		b.noRanges = true // it is one, but not for this server
		return b.open()
	}
	if err != nil {
		return err
	}
	if err := b.position(resp); err != nil {
		_ = resp.Body.Close() // of no use
		return err
	}
	b.body = resp.Body
	return nil
}

// position brings a response to the offset.
func (b *blobReader) position(resp *http.Response) error {
	skip, rest := b.offset, b.d.Size // a server that knows no ranges begins anew
	if resp.StatusCode == http.StatusPartialContent {
		skip, rest = 0, b.d.Size-b.offset
		var from int64
		got := resp.Header.Get("Content-Range")
		if _, err := fmt.Sscanf(got, "bytes %d-", &from); err != nil || from != b.offset {
			return fmt.Errorf("asked for the bytes from %d on, the registry answers with the range %.*q", b.offset, maxMessage, got)
		}
	}
	if resp.ContentLength >= 0 && resp.ContentLength != rest {
		return fmt.Errorf("the registry announces %d bytes where %d belong to a blob of this size", resp.ContentLength, rest)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, skip); err != nil {
		return &temporaryError{cause: err}
	}
	return nil
}

// Close gives the connection back. That it breaks on the way says nothing of the blob, of which only io.EOF promises
// that it is whole.
func (b *blobReader) Close() error {
	if b.err == nil {
		b.err = fmt.Errorf("blob %q is closed", b.d.Digest)
	}
	if b.body != nil {
		_ = b.body.Close() // as above
		b.body = nil
	}
	return nil
}

func (b *blobReader) what() string {
	return fmt.Sprintf("reading blob %q from %q", b.d.Digest, b.repo.ref.repository())
}

func (b *blobReader) fail(err error) error { return fmt.Errorf("%s: %w", b.what(), err) }
