package image

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/chunked"
	"chunkah/lib/interrupt"
)

// Tables reads the tables of a zstd:chunked layer without the rest of its blob. It verifies the
// digest of the table of contents, but not whether the table describes the layer.
func (img *Image) Tables(ctx context.Context, d v1.Descriptor) (*chunked.Tables, error) {
	p, err := chunked.FromAnnotations(d.Annotations, d.Size)
	if err != nil {
		return nil, err
	}
	tail, err := img.blobEnd(ctx, d, p.Start())
	if err != nil {
		return nil, err
	}
	defer tail.Close() // it was only read
	return chunked.ReadTables(p, interrupt.Reader(ctx, tail))
}

// blobEnd opens a blob of the image, starting at an offset. The caller verifies what it reads.
func (img *Image) blobEnd(ctx context.Context, d v1.Descriptor, from int64) (io.ReadCloser, error) {
	if store, ok := img.fetch.(Ranged); ok {
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
