package image

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Fetcher is a store that images lie in: a layout, an archive, a registry. It need
// not verify what it returns, which its readers do. It is safe for concurrent use.
type Fetcher interface {
	// Manifest returns a manifest, or an index, by the REF of a source. The media
	// type may be empty.
	Manifest(ctx context.Context, ref string) (data []byte, mediaType string, err error)
	// Blob opens what a descriptor describes, a manifest too. What is an
	// io.ReaderAt as well is read in place, for as long as it is not closed.
	Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
	// Close gives back what the store has open.
	Close() error
}

// Indexed is a Fetcher that has an index of all its images, as a layout has.
type Indexed interface {
	Fetcher
	// Index returns that index as it is.
	Index() ([]byte, error)
}
