package inspect

import (
	"context"
	"fmt"

	"chunkah/lib/chunked"
)

// Chunked reports whether the layer is zstd:chunked.
func (l *Layer) Chunked() bool { return chunked.Marked(l.Descriptor.Annotations) }

// Tables reads the tables of a zstd:chunked layer (see image.Image.Tables).
func (in *Image) Tables(ctx context.Context, layer int) (*chunked.Tables, error) {
	t, err := in.image.Tables(ctx, in.Layers[layer].Descriptor)
	if err != nil {
		return nil, fmt.Errorf("reading the tables of layer %d of %q: %w", layer, in.Source, err)
	}
	return t, nil
}
