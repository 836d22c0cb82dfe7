package write

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/chunked"
	"chunkah/lib/interrupt"
	"chunkah/lib/layer"
	"chunkah/lib/plan"
)

// comparing compares the contents of files with the digests in their records while the files are
// written.
type comparing struct {
	layer.Content
	sum   hash.Hash
	wrong bool // a digest is wrong
}

// compared returns a reader for the contents of the layer's files. If the layer's record contains a
// digest of the entries, the reader compares the files with their digests.
func (l *layerFiles) compared(of layer.Content) layer.Content {
	if l.record.Entries == "" {
		return of
	}
	l.digests = &comparing{Content: of, sum: sha256.New()}
	return l.digests
}

// WriteFile implements layer.Content.
func (c *comparing) WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error) {
	c.sum.Reset()
	n, err := c.Content.WriteFile(ctx, &tee{sum: c.sum, w: w}, f)
	if format.NewDigest([sha256.Size]byte(c.sum.Sum(nil))) != f.Digest {
		c.wrong = true
	}
	return n, err
}

// proveEntries adds to the proofs the entries of a layer that was just written. It also records
// that the blob contains this layer, so that the next build need not read the blob. If the digest
// of the entries is wrong, proveEntries leaves it out. The digest can be wrong because of a faulty
// stage, or because a file changed between two readings.
func (w *writer) proveEntries(l *layerFiles, b *blob) error {
	if l.record.Entries != "" {
		got, err := plan.EntriesOf(slices.Values(l.files))
		if err != nil {
			return err
		}
		if l.digests == nil || l.digests.wrong || got != l.record.Entries {
			l.forget()
		} else {
			w.opt.Proofs.AddEntries(b.diffID, digest.Digest(got))
		}
	}
	if w.compressed() && (w.opt.Record || l.record.Entries != "") { // compressed or proven in this run
		w.opt.Proofs.Add(b.diffID, b.digest, b.size)
		if b.annotations != nil {
			w.opt.Proofs.Add(tablesOf(b.annotations), b.digest, b.size)
		}
	}
	return nil
}

// cleanKept cleans the descriptors of layers kept from the previous image. It removes everything
// that this program has neither written nor verified. This matters in particular for zstd:chunked
// layers, because clients that fetch chunks use the tables instead of the tar.
func (w *writer) cleanKept(ctx context.Context) error {
	for i := range w.kept {
		d := &w.kept[i].Descriptor
		clean := v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		annotations, err := w.provenTables(ctx, w.kept[i])
		if err != nil {
			return err
		}
		for _, key := range []string{annotationComponent, annotationStability} {
			if value, has := d.Annotations[key]; has {
				if annotations == nil {
					annotations = make(map[string]string)
				}
				annotations[key] = value
			}
		}
		clean.Annotations = annotations
		*d = clean
	}
	return nil
}

// provenTables returns the zstd:chunked annotations of a kept layer. If this user has not verified
// the tables yet, the blob is read. If the tables are wrong, provenTables returns no annotations,
// and clients fetch the layer as a whole.
func (w *writer) provenTables(ctx context.Context, k StoredLayer) (map[string]string, error) {
	d := k.Descriptor
	given := chunked.Of(d.Annotations)
	if given == nil || w.opt.TrustPrevious || w.opt.Proofs.Has(tablesOf(given), d.Digest, d.Size) {
		return given, nil
	}
	spool := &spooledBlob{dir: w.opt.SpoolDir}
	defer spool.close()
	in, err := openBlob(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("reading layer %s of the previous image: %w", d.Digest, err)
	}
	_, err = io.Copy(spool, in)
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, fmt.Errorf("reading layer %s of the previous image: %w", d.Digest, err)
	}
	made, err := w.checkTables(ctx, spool, k)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		w.report.LostTables = append(w.report.LostTables, fmt.Errorf("layer %s of the previous image: %w: %w", d.Digest, errTables, err))
		return nil, nil
	}
	w.opt.Proofs.Add(k.DiffID, d.Digest, d.Size)
	w.opt.Proofs.Add(tablesOf(made), d.Digest, d.Size)
	return made, nil
}

// checkTables compares the tables in a blob with the blob, and returns their annotations.
func (w *writer) checkTables(ctx context.Context, blob io.ReaderAt, k StoredLayer) (map[string]string, error) {
	size := k.Descriptor.Size
	tables, err := chunked.Read(blob, size)
	if err != nil {
		return nil, err
	}
	sum := &tee{sum: sha256.New(), w: io.Discard}
	if err := tables.Check(interrupt.Reader(ctx, io.NewSectionReader(blob, 0, size)), sum); err != nil {
		return nil, err
	}
	if digest.NewDigest(digest.SHA256, sum.sum) != k.DiffID {
		return nil, errUnproven
	}
	return tables.Annotations(), nil
}
