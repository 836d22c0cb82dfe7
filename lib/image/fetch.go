package image

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/registry"
)

// Fetcher is a store of images, such as a layout, an archive or a registry. It need not verify the
// data that it returns, because its callers do. It is safe for concurrent use. The interfaces in
// this file describe what only some stores can do.
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

// Hosted is a Fetcher for a registry.
type Hosted interface {
	Fetcher
	// Repository returns the repository from which the image is read, for example a mirror.
	Repository() *registry.Repository
}

// Ranged is a Fetcher that can open a part of a blob.
type Ranged interface {
	Fetcher
	BlobRange(ctx context.Context, d v1.Descriptor, from, n int64) (io.ReadCloser, error)
}

// Named is a Fetcher for one image of a store with its own IDs.
type Named interface {
	Fetcher
	// Ref returns a REF that always refers to this image.
	Ref() string
}

// Digested is a Fetcher for one image of a store that keeps layers in another form.
type Digested interface {
	Fetcher
	// Digest returns the digest that identifies the image to users of the store. It is empty if the
	// manifest's digest identifies the image.
	Digest() digest.Digest
}

// Repository returns the repository from which the image is read, or nil if the image is not in a
// registry.
func (img *Image) Repository() *registry.Repository {
	if store, ok := img.fetch.(Hosted); ok {
		return store.Repository()
	}
	return nil
}
