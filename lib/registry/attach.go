package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

const (
	// subjectHeader is set in the response if the registry lists a manifest among its subject's
	// referrers. Other registries need the fallback tag.
	subjectHeader = "OCI-Subject"
	// fallbackAttempts is the largest number of attempts to update the index of the fallback tag,
	// which other programs may write at the same time.
	fallbackAttempts = 4
)

// Attachment is a document that is attached to an image.
type Attachment struct {
	// Type is the media type of the document and of its manifest.
	Type string
	// Title is the name of the file in which clients save the document.
	Title string
	Data  []byte
}

// Attach stores a document about an image of the repository, as a referrer of the image's manifest
// (OCI distribution specification 1.1, "Listing Referrers"). In registries without the referrers
// API, the document is added to an index with the tag sha256-HEX. Attaching the same document again
// changes nothing. Attach returns the document's manifest.
func (r *Repository) Attach(ctx context.Context, subject v1.Descriptor, a Attachment) (v1.Descriptor, error) {
	manifest, err := newArtifact(subject, a)
	if err != nil {
		return v1.Descriptor{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &Push{repo: r, ctx: ctx, cancelAll: cancel}
	for _, blob := range []struct {
		mediaType string
		data      []byte
	}{{a.Type, a.Data}, {v1.MediaTypeEmptyJSON, v1.DescriptorEmptyJSON.Data}} {
		if err := p.Blob(describe(blob.mediaType, blob.data), oci.Hint{}, oci.Data(blob.data)); err != nil {
			return v1.Descriptor{}, err
		}
	}
	what := fmt.Sprintf("attaching %q to %q in %q", a.Type, subject.Digest, r.ref.repository())
	listed, refused := false, false
	err = r.retry(ctx, what, func() (err error) {
		listed, err = p.putReferrer(ctx, manifest, subject.Digest)
		refused = refusesFormat(err)
		return err
	})
	if err == nil && !listed {
		referrer := manifest.Descriptor
		referrer.ArtifactType = a.Type
		err = r.retry(ctx, what, func() error { return p.addToFallback(ctx, subject.Digest, referrer) })
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
		if refused {
			err = &AttachError{err}
		}
		return v1.Descriptor{}, err
	}
	return manifest.Descriptor, nil
}

// AttachError means that a registry refuses manifests that refer to another manifest.
type AttachError struct{ err error }

func (e *AttachError) Error() string { return e.err.Error() }
func (e *AttachError) Unwrap() error { return e.err }

func describe(mediaType string, data []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// newArtifact returns the manifest of a document about another manifest.
func newArtifact(subject v1.Descriptor, a Attachment) (oci.Document, error) {
	content := describe(a.Type, a.Data)
	content.Annotations = map[string]string{v1.AnnotationTitle: a.Title}
	raw, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: a.Type,
		Config: describe(v1.MediaTypeEmptyJSON, v1.DescriptorEmptyJSON.Data), Layers: []v1.Descriptor{content},
		Subject: &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
	})
	return oci.Document{Descriptor: describe(v1.MediaTypeImageManifest, raw), Data: raw}, err
}

// putReferrer sends a manifest with a subject, and reports whether the registry lists the manifest
// among the subject's referrers.
func (p *Push) putReferrer(ctx context.Context, doc oci.Document, subject digest.Digest) (listed bool, err error) {
	resp, err := p.repo.send(ctx, p.manifestRequest(doc, doc.Descriptor.Digest.String(), ""))
	if err != nil {
		return false, err
	}
	defer drop(resp)
	return resp.Header.Get(subjectHeader) == subject.String(), checkAnswer(resp, doc.Descriptor.Digest)
}

// manifestRequest returns the request that sends a manifest under a name. If etag is given, only
// the version with that entity tag is replaced.
func (p *Push) manifestRequest(doc oci.Document, name, etag string) request {
	header := http.Header{"Content-Type": {doc.Descriptor.MediaType}}
	if etag != "" {
		header.Set("If-Match", etag)
	}
	return request{
		method: http.MethodPut, url: p.repo.url("manifests", name), scopes: p.rights(), header: header, size: int64(len(doc.Data)),
		body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(doc.Data)), nil },
	}
}

// fallbackTag returns the tag of the index that lists a manifest's referrers.
func fallbackTag(subject digest.Digest) string { return strings.Replace(subject.String(), ":", "-", 1) }

// addToFallback adds a referrer to the index of the fallback tag. It then reads the index again,
// and starts over if another program has replaced the index.
func (p *Push) addToFallback(ctx context.Context, subject digest.Digest, referrer v1.Descriptor) error {
	for range fallbackAttempts {
		index, etag, err := p.repo.fallback(ctx, subject)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Digest == referrer.Digest }) {
			return nil
		}
		index.Manifests = append(index.Manifests, referrer)
		raw, err := json.Marshal(index)
		if err != nil {
			return err
		}
		doc := oci.Document{Descriptor: describe(v1.MediaTypeImageIndex, raw), Data: raw}
		resp, err := p.repo.send(ctx, p.manifestRequest(doc, fallbackTag(subject), etag), http.StatusCreated, http.StatusOK, http.StatusPreconditionFailed)
		if err != nil {
			return err
		}
		drop(resp)
	}
	return errors.New("other programs are changing the image's list of referrers: try again")
}

// fallback reads the index of the fallback tag and the index's entity tag. If the index does not
// exist, fallback returns an empty index.
func (r *Repository) fallback(ctx context.Context, subject digest.Digest) (index v1.Index, etag string, err error) {
	index = v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{}}
	tag := fallbackTag(subject)
	resp, err := r.send(ctx, request{
		method: http.MethodGet, url: r.url("manifests", tag), scopes: r.pull(), header: http.Header{"Accept": {v1.MediaTypeImageIndex}},
	}, http.StatusOK, http.StatusNotFound)
	if errors.Is(err, fs.ErrNotExist) {
		return index, "", nil
	}
	if err != nil {
		return index, "", err
	}
	defer drop(resp)
	if resp.StatusCode == http.StatusNotFound {
		return index, "", nil
	}
	data, err := readDocument(resp, oci.MaxDocument)
	if err != nil {
		return index, "", err
	}
	if err := json.Unmarshal(data, &index); err != nil || index.MediaType != v1.MediaTypeImageIndex && index.MediaType != "" {
		return index, "", fmt.Errorf("tag %q is not an index of referrers", tag)
	}
	index.MediaType = v1.MediaTypeImageIndex
	return index, resp.Header.Get("ETag"), nil
}
