package image

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Fetcher is a store of images: a layout, an archive, a registry. It need not verify the data that
// it returns; its callers do. It is safe for concurrent use.
type Fetcher interface {
	// Manifest returns the manifest or index for the REF of a source. The media type can be empty.
	Manifest(ctx context.Context, ref string) (data []byte, mediaType string, err error)
	// Blob opens the blob or manifest of a descriptor. A result that is also an io.ReaderAt is read
	// in place until it is closed.
	Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
	// Close closes everything that the store has opened.
	Close() error
}

// Indexed is a Fetcher with an index of all its images, for example a layout.
type Indexed interface {
	Fetcher
	// Index returns the index unchanged.
	Index() ([]byte, error)
}

// Referred is a Fetcher that knows of documents about its images, for example signatures.
type Referred interface {
	Fetcher
	// Attached returns the types of the documents about a manifest, sorted.
	Attached(ctx context.Context, subject digest.Digest) []string
}

// Attached returns the types of the documents about an image, if its store has such.
func (img *Image) Attached(ctx context.Context) []string {
	store, ok := img.fetch.(Referred)
	if !ok {
		return nil
	}
	return store.Attached(ctx, img.Manifest.Descriptor.Digest)
}
