package cli

import (
	"context"

	"chunkah/format"
	"chunkah/lib/chunked"
	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/pack"
	"chunkah/lib/plan"
)

// tableFiles reads the files in zstd:chunked layers from the layers' tables of contents. The result
// is indexed by the digest of the layer's entries. Only the tables are downloaded. Layers whose
// tables cannot be read are left out with a warning. So are layers whose tables list other entries
// than the history.
func tableFiles(ctx context.Context, env *Env, img *image.Image, last *pack.Image) (map[string][]*format.File, error) {
	found := make(map[string][]*format.File)
	for i, l := range img.Layers {
		rec := last.Layers[i].Record
		if last.Layers[i].Files != nil || rec == nil || rec.Entries == "" || !chunked.Marked(l.Descriptor.Annotations) {
			continue
		}
		files, err := readTable(ctx, img, l)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			env.warn("reading the tables of layer %d of the previous image: %w; reading the layer instead", i, err)
			continue
		}
		got, err := plan.EntriesOf(files)
		if err == nil && got == rec.Entries {
			found[got] = files
		}
	}
	return found, nil
}

// readTable reads the table of contents of one layer.
func readTable(ctx context.Context, img *image.Image, l image.Layer) ([]*format.File, error) {
	p, err := chunked.FromAnnotations(l.Descriptor.Annotations, l.Descriptor.Size)
	if err != nil {
		return nil, err
	}
	tail, err := img.BlobEnd(ctx, l.Descriptor, p.Start())
	if err != nil {
		return nil, err
	}
	defer tail.Close() // it was only read
	tables, err := chunked.ReadTables(p, interrupt.Reader(ctx, tail))
	if err != nil {
		return nil, err
	}
	return tables.Files()
}
