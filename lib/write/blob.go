package write

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"sync"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/cache"
	"chunkah/lib/compress"
	"chunkah/lib/contentid"
	"chunkah/lib/layer"
	"chunkah/lib/oci"
)

// blob is a layer that has been digested.
type blob struct {
	diffID digest.Digest
	digest digest.Digest
	size   int64 // bytes in the blob
	tar    int64 // bytes in the tar
	// entry is where the blob was written in the archive. It is nil if the blob was not written
	// yet.
	entry oci.BlobWriter
	// spool stores the compressed blob until the blob is written.
	spool *spooledBlob
	// previous is the layer of the previous image that supplies the blob, which is already proven.
	previous *StoredLayer
	// from is the name of an image in a registry that already stores the blob. It is empty if no
	// such image is known.
	from string
	// annotations are the zstd:chunked annotations. They are nil for other blobs.
	annotations map[string]string
	// reused is set if the blob was found instead of compressed in this run.
	reused bool
}

// close frees resources that only the second pass needs.
func (b *blob) close() {
	if b.spool != nil {
		b.spool.close()
	}
}

// reserve reserves space for uncompressed layers if the output is a file. Such layers can then be
// digested and written in one pass.
func (w *writer) reserve(order []int) error {
	if w.access != oci.RandomAccess || w.compressed() {
		return nil
	}
	w.entries = make([]oci.BlobWriter, len(order))
	for _, i := range order {
		var err error
		if w.entries[i], err = w.dest.NewBlob(w.img.layers[i].size, false); err != nil {
			return err
		}
	}
	return nil
}

// firstPass finds the blob of layer i among the blobs of earlier builds, or makes it, and computes
// its digests. It stores the blob as soon as possible: in the space that is reserved in an archive,
// in a file of the output, in the cache or in a spool. Only if nothing can store the blob, for
// example if the output of uncompressed layers is a pipe, secondPass reads the layer's files again.
func (w *writer) firstPass(ctx context.Context, pool *compress.Pool, i int) (*blob, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b := &blob{tar: w.img.layers[i].size}
	found, err := w.reuse(ctx, &w.img.layers[i], b)
	if err == nil && !found {
		err = w.makeBlob(ctx, pool, i, b)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// makeBlob makes the blob of layer i and computes its digests. The settings determine where the
// bytes are written.
func (w *writer) makeBlob(ctx context.Context, pool *compress.Pool, i int, b *blob) error {
	l := &w.img.layers[i]
	switch {
	case w.entries != nil: // write to the space that is reserved in the archive
		b.entry = w.entries[i]
		return w.writeAndHash(ctx, pool, b.entry, l, b)
	case !w.compressed() && w.access != oci.BlobFiles: // not written yet, because secondPass reads the files again
		return w.hashOnly(ctx, l, b)
	case w.compressed() && w.opt.Cache != nil:
		return w.writeToCache(ctx, pool, l, b)
	case w.access == oci.BlobFiles:
		return w.writeToOutput(ctx, pool, l, b)
	}
	b.spool = l.spool
	return w.writeAndHash(ctx, pool, b.spool, l, b)
}

func (w *writer) compressed() bool { return w.opt.Compression.Algorithm != compress.None }

// writeAndHash writes the blob to out and computes its digests.
func (w *writer) writeAndHash(ctx context.Context, pool *compress.Pool, out io.Writer, l *layerFiles, b *blob) error {
	blob := &tee{sum: sha256.New(), w: out}
	if err := w.writeLayer(ctx, pool, blob, l, b); err != nil {
		return err
	}
	b.digest, b.size = digest.NewDigest(digest.SHA256, blob.sum), blob.size
	if !w.compressed() {
		b.diffID = b.digest
	}
	return nil
}

// writeToOutput writes the blob to its own file in the output.
func (w *writer) writeToOutput(ctx context.Context, pool *compress.Pool, l *layerFiles, b *blob) error {
	out, err := w.dest.NewBlob(0, true)
	if err != nil {
		return err
	}
	if err := w.writeAndHash(ctx, pool, out, l, b); err != nil {
		return errors.Join(err, out.Discard())
	}
	return out.Commit(b.digest, b.size)
}

// hashOnly keeps only the layer's digest. secondPass reads the layer's files again and must
// get the same digest.
func (w *writer) hashOnly(ctx context.Context, l *layerFiles, b *blob) error {
	c := w.newContents()
	defer c.close()
	sum := sha256.New()
	completer := contentid.Complete(l.record)
	if err := layer.Write(ctx, w.counted(sum), l.files, l.compared(completer.Content(c))); err != nil {
		return err
	}
	completer.Done()
	b.digest, b.size = digest.NewDigest(digest.SHA256, sum), b.tar
	b.diffID = b.digest
	return nil
}

// writeToCache writes the compressed blob to the cache.
func (w *writer) writeToCache(ctx context.Context, pool *compress.Pool, l *layerFiles, b *blob) error {
	return w.toCache(l, b, func(out *cache.Writer) (digest.Digest, error) {
		err := w.writeAndHash(ctx, pool, out, l, b)
		return b.digest, err
	})
}

// toCache puts a blob into the cache. The function write writes the blob and returns its digest.
// b.diffID must be set.
func (w *writer) toCache(l *layerFiles, b *blob, write func(*cache.Writer) (digest.Digest, error)) error {
	out, err := w.opt.Cache.Create(w.key(l))
	if err != nil {
		return err
	}
	defer out.Abort()
	d, err := write(out)
	if err != nil {
		return err
	}
	kept, err := out.Commit(b.diffID, d)
	if err != nil {
		return err
	}
	b.spool, b.digest, b.size = cached(kept), kept.Digest, kept.Size
	return nil
}

// cached returns a cached blob as a spool.
func cached(b *cache.Blob) *spooledBlob {
	return &spooledBlob{dir: filepath.Dir(b.Name()), file: b.File}
}

// writeLayer writes a layer to out, compressed according to the options. It sets b.diffID if the
// diffID differs from the blob's digest.
func (w *writer) writeLayer(ctx context.Context, pool *compress.Pool, out io.Writer, l *layerFiles, b *blob) error {
	c := w.newContents()
	defer c.close()
	completer := contentid.Complete(l.record)
	err := w.writeLayerFrom(ctx, pool, out, l, b, l.compared(completer.Content(c)))
	if err == nil {
		completer.Done()
	}
	return err
}

// writeLayerFrom is like writeLayer, but reads the files' contents from c.
func (w *writer) writeLayerFrom(ctx context.Context, pool *compress.Pool, out io.Writer, l *layerFiles, b *blob, c layer.Content) error {
	if !w.compressed() {
		return w.writeTar(ctx, w.counted(out), l, c)
	}
	if l.chunked {
		return w.chunkedTar(ctx, pool, out, l, b, c)
	}
	z, err := pool.NewWriter(ctx, out, w.opt.Compression, l.rank)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := layer.Write(ctx, w.counted(&tee{sum: sum, w: z}), l.files, c); err != nil {
		return err
	}
	b.diffID = digest.NewDigest(digest.SHA256, sum)
	return z.Close()
}

// gatherBuffer is the size in bytes of the buffer that joins headers and small files into larger
// writes. The rest of a larger read is written without a copy, so the buffer is smaller than
// copyBuffer.
const gatherBuffer = copyBuffer / 4

// writeTar writes a layer in large pieces.
func (w *writer) writeTar(ctx context.Context, out io.Writer, l *layerFiles, c layer.Content) error {
	buffered := bufio.NewWriterSize(out, gatherBuffer)
	if err := layer.Write(ctx, buffered, l.files, c); err != nil {
		return err
	}
	return buffered.Flush()
}

// secondPass completes the blob of layer i in the output. If firstPass did not write it there,
// secondPass copies the stored blob, or makes the blob again from the layer's files.
func (w *writer) secondPass(ctx context.Context, i int, b *blob) error {
	defer b.close()
	entry := b.entry
	if entry == nil && b.spool != nil {
		entry = b.spool.entry
	}
	if entry != nil {
		return entry.Commit(b.digest, b.size)
	}
	stored := b.spool != nil || b.previous != nil // otherwise, the blob can only be made from the layer's files
	if !stored && w.access == oci.BlobFiles {
		return nil // the first pass wrote the blob to a file of the output
	}
	counts := w.access == oci.Network || !stored // copying a stored blob takes little time
	sends := &sending{work: w.opt.Work, size: b.size, worth: b.tar}
	err := w.dest.Blob(w.descriptor(b), oci.Hint{Image: b.from, DiffID: b.diffID}, func(out io.Writer) error {
		if counts {
			out = sends.to(out)
		}
		return w.sendBlob(ctx, out, i, b)
	})
	if err == nil && counts {
		sends.count(b.size) // the whole blob, even if the destination already had it
	}
	if !stored && errors.Is(err, oci.ErrDigest) {
		// A write through a shared mapping does not change the file's times.
		err = fmt.Errorf("reading the files of layer %d again: %w: %w", i, errChanged, err)
	}
	return err
}

// sendBlob writes the blob of layer i to out. It copies the stored blob, or else makes the blob
// from the layer's files.
func (w *writer) sendBlob(ctx context.Context, out io.Writer, i int, b *blob) error {
	switch {
	case b.previous != nil:
		return w.copyBlob(ctx, out, *b.previous)
	case b.spool != nil:
		return b.spool.copy(ctx, out)
	}
	c := w.newContents()
	defer c.close()
	return w.writeTar(ctx, out, &w.img.layers[i], c)
}

// tee hashes and counts the bytes that it passes on.
type tee struct {
	sum  hash.Hash
	w    io.Writer
	size int64
}

// Write hashes a piece of a large file on another core while it writes the piece. A large file can
// make one layer so large that the other cores have no layers left.
func (t *tee) Write(p []byte) (int, error) {
	var hashed sync.WaitGroup
	if len(p) >= copyBuffer {
		hashed.Go(func() { t.sum.Write(p) })
	} else {
		t.sum.Write(p)
	}
	n, err := t.w.Write(p)
	hashed.Wait()
	t.size += int64(n)
	return n, err
}
