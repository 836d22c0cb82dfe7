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

	"github.com/opencontainers/go-digest"

	"chunkah/lib/cache"
	"chunkah/lib/compress"
	"chunkah/lib/layer"
	"chunkah/lib/oci"
)

// blob is a layer that has been digested.
type blob struct {
	diffID digest.Digest
	digest digest.Digest
	size   int64 // of the blob
	tar    int64 // of the tar
	// slot is where the blob is already, but for its header.
	slot *oci.Slot
	// spool holds a compressed blob until its turn comes.
	spool *waiting
	// previous is the layer of the previous image that the blob is, where it is proven.
	previous *Kept
	// reused is set where the blob was found and not made.
	reused bool
}

// close gives back what only the second pass needs.
func (b *blob) close() {
	if b.spool != nil {
		b.spool.close()
	}
}

// direct is a destination that takes a blob before its digest is known.
type direct interface {
	NewBlob() (*oci.BlobWriter, error)
}

// ordered is a destination that can set places aside for blobs of known size.
type ordered interface {
	Reserve(sizes []int64) ([]*oci.Slot, error)
}

var (
	_ direct  = (*oci.Layout)(nil)
	_ ordered = (*oci.Archive)(nil)
	_ ordered = (*oci.DockerArchive)(nil)
)

// reserve sets places aside where layers are not compressed and the output is a
// file: they can then be digested and written in one pass.
func (w *writer) reserve(order []int) error {
	dest, ok := w.dest.(ordered)
	if !ok || w.compressed() {
		return nil
	}
	sizes := make([]int64, len(order))
	for n, i := range order {
		sizes[n] = w.img.layers[i].size
	}
	slots, err := dest.Reserve(sizes)
	if err != nil || slots == nil {
		return err
	}
	w.slots = make([]*oci.Slot, len(order))
	for n, i := range order {
		w.slots[i] = slots[n]
	}
	return nil
}

// digest makes the first pass over layer i, and the only one where the blob
// finds its place in it.
func (w *writer) digest(ctx context.Context, pool *compress.Pool, i int) (*blob, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	l := &w.img.layers[i]
	b := &blob{tar: l.size}
	dest, isDirect := w.dest.(direct)
	found, err := w.reuse(ctx, l, b)
	switch {
	case err != nil || found:
	case w.slots != nil:
		b.slot = w.slots[i]
		err = w.digestIntoSlot(ctx, l, b)
	case w.compressed() && w.opt.Cache != nil:
		err = w.digestToCache(ctx, pool, l, b)
	case w.compressed() && !isDirect:
		err = w.digestToSpool(ctx, pool, l, b)
	case isDirect:
		err = w.digestInPlace(ctx, pool, dest, l, b)
	default:
		err = w.digestOnly(ctx, l, b)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (w *writer) compressed() bool { return w.opt.Compression.Algorithm != compress.None }

// digestIntoSlot writes the layer to its place in the archive.
func (w *writer) digestIntoSlot(ctx context.Context, l *layerFiles, b *blob) error {
	c := w.newContents()
	defer c.close()
	sum := sha256.New()
	if err := w.writeTar(ctx, tee{sum, b.slot}, l, c); err != nil {
		return err
	}
	b.digest, b.size = digest.NewDigest(digest.SHA256, sum), b.tar
	b.diffID = b.digest
	return nil
}

// digestInPlace writes the blob to its place while it is digested.
func (w *writer) digestInPlace(ctx context.Context, pool *compress.Pool, dest direct, l *layerFiles, b *blob) error {
	out, err := dest.NewBlob()
	if err != nil {
		return err
	}
	if err := w.tar(ctx, pool, out, l, b); err != nil {
		return errors.Join(err, out.Abort())
	}
	b.digest, b.size, err = out.Commit()
	if !w.compressed() {
		b.diffID = b.digest
	}
	return err
}

// digestOnly keeps nothing of a layer but its digest: the second pass reads its
// files again, and has to come to the same.
func (w *writer) digestOnly(ctx context.Context, l *layerFiles, b *blob) error {
	c := w.newContents()
	defer c.close()
	sum := sha256.New()
	if err := layer.Write(ctx, w.counted(sum), l.files, c); err != nil {
		return err
	}
	b.digest, b.size = digest.NewDigest(digest.SHA256, sum), b.tar
	b.diffID = b.digest
	return nil
}

// digestToCache keeps the compressed blob in the cache until its turn comes.
func (w *writer) digestToCache(ctx context.Context, pool *compress.Pool, l *layerFiles, b *blob) error {
	return w.toCache(b, func(out io.Writer) (digest.Digest, error) {
		sum := sha256.New()
		err := w.tar(ctx, pool, io.MultiWriter(out, sum), l, b)
		return digest.NewDigest(digest.SHA256, sum), err
	})
}

// toCache puts a blob into the cache, which write writes and tells the digest of. That of
// its layer is known by then.
func (w *writer) toCache(b *blob, write func(io.Writer) (digest.Digest, error)) error {
	out, err := w.opt.Cache.Create(w.opt.Compression.Key())
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

// cached is a blob of the cache that waits for its turn.
func cached(b *cache.Blob) *waiting {
	return &waiting{dir: filepath.Dir(b.Name()), file: b.File}
}

// digestToSpool keeps the compressed blob until its turn comes.
func (w *writer) digestToSpool(ctx context.Context, pool *compress.Pool, l *layerFiles, b *blob) error {
	b.spool = l.spool
	sum := sha256.New()
	size := &counter{w: io.MultiWriter(l.spool, sum)}
	if err := w.tar(ctx, pool, size, l, b); err != nil {
		return err
	}
	b.digest, b.size = digest.NewDigest(digest.SHA256, sum), size.n
	return nil
}

// tar writes a layer, compressed as the options say, to out. It sets the tar's
// digest where that is not the blob's.
func (w *writer) tar(ctx context.Context, pool *compress.Pool, out io.Writer, l *layerFiles, b *blob) error {
	c := w.newContents()
	defer c.close()
	if !w.compressed() {
		return w.writeTar(ctx, out, l, c)
	}
	z, err := pool.NewWriter(ctx, out, w.opt.Compression, l.rank)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := layer.Write(ctx, w.counted(tee{sum, z}), l.files, c); err != nil {
		return err
	}
	b.diffID = digest.NewDigest(digest.SHA256, sum)
	return z.Close()
}

// writeTar writes a layer in large pieces.
func (w *writer) writeTar(ctx context.Context, out io.Writer, l *layerFiles, c *contents) error {
	buffered := bufio.NewWriterSize(w.counted(out), copyBuffer)
	if err := layer.Write(ctx, buffered, l.files, c); err != nil {
		return err
	}
	return buffered.Flush()
}

// place makes the second pass: the blob goes where it belongs.
func (w *writer) place(ctx context.Context, i int, b *blob) error {
	defer b.close()
	switch {
	case b.slot != nil:
		return b.slot.Commit(b.digest)
	case b.spool != nil && b.spool.tail != nil:
		return b.spool.tail.Commit(b.digest, b.size)
	}
	if _, ok := w.dest.(direct); ok && b.spool == nil && b.previous == nil {
		return nil // it is there since the first pass
	}
	_, remote := w.dest.(concurrent)
	if remote {
		w.opt.Work.Expect(b.size)
	}
	err := w.dest.Blob(w.descriptor(b), func(out io.Writer) error {
		if remote {
			out = w.counted(out)
		}
		if b.previous != nil {
			return copyBlob(ctx, out, *b.previous)
		}
		if b.spool != nil {
			return b.spool.copy(ctx, out)
		}
		c := w.newContents()
		defer c.close()
		return w.writeTar(ctx, out, &w.img.layers[i], c)
	})
	if b.previous == nil && b.spool == nil && errors.Is(err, oci.ErrDigest) {
		// No file shows it by its times: a shared mapping may move none of them.
		err = fmt.Errorf("reading the files of layer %d again: %w: %w", i, errChanged, err)
	}
	return err
}

// tee hashes what it hands on.
type tee struct {
	sum hash.Hash
	w   io.Writer
}

func (t tee) Write(p []byte) (int, error) {
	t.sum.Write(p)
	return t.w.Write(p)
}

// counter counts what goes through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
