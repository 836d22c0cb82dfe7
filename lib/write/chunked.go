package write

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/chunked"
	"chunkah/lib/compress"
	"chunkah/lib/interrupt"
	"chunkah/lib/layer"
)

// chooseChunked decides which layers are zstd:chunked.
func (w *writer) chooseChunked() {
	if !w.opt.Chunked {
		return
	}
	for i := range w.img.layers {
		l := &w.img.layers[i]
		reason, path := chunked.Obstacle(l.files)
		if l.chunked = reason == ""; !l.chunked {
			w.report.Unmarked = append(w.report.Unmarked, Unmarked{reason, path})
		}
	}
}

// key identifies the bytes of the layer's blob in the cache.
func (w *writer) key(l *layerFiles) string {
	if l.chunked {
		return chunked.Key(w.opt.Compression)
	}
	return w.opt.Compression.Key()
}

// mayBeCached reports whether the cache contains blobs that could belong to a layer.
func (w *writer) mayBeCached() bool {
	if w.opt.Cache == nil {
		return false
	}
	return w.opt.Cache.Has(w.opt.Compression.Key()) || w.opt.Chunked && w.opt.Cache.Has(chunked.Key(w.opt.Compression))
}

// maxSize returns the maximum size of the layer's blob, in bytes.
func (w *writer) maxSize(l *layerFiles) int64 {
	if l.chunked {
		return chunked.MaxSize(l.size, l.files)
	}
	return compress.MaxSize(l.size)
}

// chunkedTar writes a layer to out as zstd:chunked.
func (w *writer) chunkedTar(ctx context.Context, pool *compress.Pool, out io.Writer, l *layerFiles, b *blob, c layer.Content) error {
	z, err := chunked.NewWriter(ctx, pool, out, w.opt.Compression, l.rank)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := layer.WriteObserved(ctx, w.counted(&tee{sum: sum, w: z}), l.files, c, z); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	b.diffID = digest.NewDigest(digest.SHA256, sum)
	b.annotations = z.Positions().Annotations()
	return nil
}

// tablesOf identifies the tables that annotations describe. Proofs use this digest.
func tablesOf(annotations map[string]string) digest.Digest {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		fmt.Fprintf(&text, "%s=%s\n", key, annotations[key])
	}
	return digest.FromString(text.String())
}

// isProven reports whether this user has already verified that the previous image's blob
// decompresses to its layer and that the blob's tables are correct.
func (w *writer) isProven(previous StoredLayer, l *layerFiles) bool {
	d := previous.Descriptor
	if l.chunked && !w.opt.Proofs.Has(tablesOf(chunked.Of(d.Annotations)), d.Digest, d.Size) {
		return false
	}
	return w.opt.Proofs.Has(previous.DiffID, d.Digest, d.Size)
}

// proveChunked checks that a blob decompresses to the layer and that the blob's tables are correct,
// and sets the annotations. The blob's digest has already been checked.
func (w *writer) proveChunked(ctx context.Context, in io.ReaderAt, is digest.Digest, size int64, l *layerFiles, b *blob) error {
	tables, err := chunked.Read(in, size)
	if err == nil {
		b.annotations = tables.Annotations()
		if w.opt.Proofs.Has(b.diffID, is, size) && w.opt.Proofs.Has(tablesOf(b.annotations), is, size) {
			return nil
		}
		sum := &tee{sum: sha256.New(), w: &atMost{l.size}}
		err = tables.Check(interrupt.Reader(ctx, io.NewSectionReader(in, 0, size)), sum)
		if err == nil && digest.NewDigest(digest.SHA256, sum.sum) == b.diffID {
			return nil
		}
	}
	b.annotations = nil
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errTables, err)
	}
	return errUnproven
}

// errTables means that a blob's tables do not describe the blob.
var errTables = errors.New("the chunk tables are wrong")

// atMost accepts a limited number of bytes.
type atMost struct{ left int64 }

func (a *atMost) Write(p []byte) (int, error) {
	if a.left -= int64(len(p)); a.left < 0 {
		return 0, errUnproven
	}
	return len(p), nil
}
