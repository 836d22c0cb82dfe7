package image

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/interrupt"
)

// ranged is a Fetcher that can open part of a blob.
type ranged interface {
	BlobRange(ctx context.Context, d v1.Descriptor, from, n int64) (io.ReadCloser, error)
}

// BlobEnd opens a blob of the image, starting at an offset. The caller verifies what it reads.
func (img *Image) BlobEnd(ctx context.Context, d v1.Descriptor, from int64) (io.ReadCloser, error) {
	if store, ok := img.fetch.(ranged); ok {
		return store.BlobRange(ctx, d, from, d.Size-from)
	}
	in, err := img.fetch.Blob(ctx, d)
	if err != nil {
		return nil, err
	}
	if random, ok := in.(io.ReaderAt); ok {
		return struct {
			io.Reader
			io.Closer
		}{io.NewSectionReader(random, from, d.Size-from), in}, nil
	}
	if _, err := io.CopyN(io.Discard, interrupt.Reader(ctx, in), from); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}
