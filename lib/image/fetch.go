package image

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/registry"
)

// Fetcher is a store of images, such as a layout, an archive or a registry. It need not verify the
// data that it returns, because its callers do. It is safe for concurrent use.
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

// Repository returns the repository from which the image is read, or nil if the image is not in a
// registry.
func (img *Image) Repository() *registry.Repository {
	if store, ok := img.fetch.(Hosted); ok {
		return store.Repository()
	}
	return nil
}
