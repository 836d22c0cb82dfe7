package inspect

import (
	"context"
	"fmt"

	"chunkah/lib/chunked"
	"chunkah/lib/interrupt"
)

// Chunked reports whether the layer is zstd:chunked.
func (l *Layer) Chunked() bool { return chunked.Marked(l.Descriptor.Annotations) }

// Tables reads the tables of a zstd:chunked layer. It verifies the digest of the table of contents,
// but not whether the table describes the layer.
func (in *Image) Tables(ctx context.Context, layer int) (*chunked.Tables, error) {
	d := in.Layers[layer].Descriptor
	p, err := chunked.FromAnnotations(d.Annotations, d.Size)
	if err != nil {
		return nil, fmt.Errorf("reading the tables of layer %d of %q: %w", layer, in.Source, err)
	}
	tail, err := in.image.BlobEnd(ctx, d, p.Start())
	if err == nil {
		defer tail.Close()
		var t *chunked.Tables
		if t, err = chunked.ReadTables(p, interrupt.Reader(ctx, tail)); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("reading the tables of layer %d of %q: %w", layer, in.Source, err)
}
