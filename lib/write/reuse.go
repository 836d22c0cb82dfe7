package write

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/cache"
	"chunkah/lib/chunked"
	"chunkah/lib/interrupt"
)

// reuse looks for the layer's blob among blobs that earlier builds compressed. To identify the
// right blob, it makes a pass that only computes the layer's digest. The cache is searched first
// because it is local.
func (w *writer) reuse(ctx context.Context, l *layerFiles, b *blob) (found bool, err error) {
	if !w.seeks() {
		return false, nil
	}
	if err := w.hashOnly(ctx, l, b); err != nil {
		return false, err
	}
	if w.warm {
		found, err = w.fromCache(ctx, l, b)
	}
	if !found && err == nil {
		found, err = w.fromPrevious(ctx, l, b)
	}
	if b.reused = found; found {
		w.opt.Work.Did(l.size) // the layer need not be read again and compressed
	}
	return found, err
}

// seeks reports whether to look for layers among the blobs of earlier builds.
func (w *writer) seeks() bool { return w.compressed() && (w.warm || len(w.opt.Reusable) > 0) }

// errUnproven means that a blob does not decompress to the layer with its diffID.
var errUnproven = errors.New("does not decompress to the layer with this diffID")

// prove reads a blob with the given digest and size to its end and checks that it decompresses to
// the layer, because the diffID given for a blob can be wrong or forged. If this user has proven
// the blob before, the digest is enough, and the caller compares the digest. Errors other than
// errUnproven do not mean that the blob is wrong.
func (w *writer) prove(ctx context.Context, in io.Reader, want digest.Digest, size int64, l *layerFiles, diffID digest.Digest) error {
	if l.chunked || w.opt.Proofs.Has(diffID, want, size) { // for chunked, see proveChunked
		_, err := io.Copy(io.Discard, interrupt.Reader(ctx, in))
		return err
	}
	unpacked, err := w.opt.Compression.Algorithm.NewReader(interrupt.Reader(ctx, in))
	if err == nil {
		defer unpacked.Close()
		sum := sha256.New()
		_, err = io.Copy(sum, io.LimitReader(unpacked, l.size+1))
		if err == nil && digest.NewDigest(digest.SHA256, sum) == diffID {
			return nil
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUnproven, err)
	}
	return errUnproven
}

// fromCache uses the layer's blob in the cache if the cache contains it.
func (w *writer) fromCache(ctx context.Context, l *layerFiles, b *blob) (found bool, err error) {
	proven := func(err error) (bool, error) {
		if errors.Is(err, errUnproven) || errors.Is(err, errTables) {
			return false, nil
		}
		return err == nil, err
	}
	want := cache.Wanted{
		Key: w.key(l), DiffID: b.diffID, Most: w.maxSize(l),
		Proves: func(want digest.Digest, size int64, in io.Reader) (bool, error) {
			return proven(w.prove(ctx, in, want, size, l, b.diffID))
		},
	}
	if l.chunked {
		want.Holds = func(is digest.Digest, size int64, in io.ReaderAt) (bool, error) {
			return proven(w.proveChunked(ctx, in, is, size, l, b))
		}
	}
	kept, err := w.opt.Cache.Get(want)
	if kept == nil || err != nil {
		return false, err
	}
	b.spool, b.digest, b.size = cached(kept), kept.Digest, kept.Size
	return true, nil
}

// fromPrevious uses the layer's blob in the previous image if that image contains it. A proven blob
// is read only when it is written, or never if the output already contains it. Any other blob is
// read once, and stored like a blob compressed in this run. If a blob cannot be read, the layer is
// compressed again.
func (w *writer) fromPrevious(ctx context.Context, l *layerFiles, b *blob) (found bool, err error) {
	previous, ok := w.opt.Reusable[b.diffID]
	if !ok {
		return false, nil
	}
	d := previous.Descriptor
	if l.chunked != chunked.Marked(d.Annotations) {
		return false, nil // compressed with other settings
	}
	read := func(out blobFile) error { return w.copyProven(ctx, out, previous, l, b) }
	b.from = previous.Image
	switch {
	case w.isProven(previous, l):
		b.annotations = chunked.Of(d.Annotations)
		b.previous, b.digest, b.size = &previous, d.Digest, d.Size
		err = opens(ctx, previous)
	case w.opt.Cache != nil:
		err = w.toCache(l, b, func(out *cache.Writer) (digest.Digest, error) { return d.Digest, read(out) })
	default:
		b.spool, b.digest, b.size = l.spool, d.Digest, d.Size
		err = read(l.spool)
	}
	if err == nil {
		return true, nil
	}
	b.close() // frees the bytes read so far
	b.spool, b.previous, b.from, b.annotations = nil, nil, "", nil
	var of *previousError
	if ctx.Err() != nil || !errors.As(err, &of) {
		return false, err
	}
	w.recordRefusal(fmt.Errorf("layer %s of the previous image: %w", d.Digest, of.error))
	return false, nil
}

// opens makes sure that a local blob can be opened, because at this point the layer can still be
// compressed instead. A blob in a registry is requested only when it is written.
func opens(ctx context.Context, previous StoredLayer) error {
	if previous.Image != "" {
		return nil
	}
	in, err := previous.Open(ctx)
	if err != nil {
		return &previousError{err}
	}
	return in.Close()
}

// previousError is an error caused by the previous image. The build continues without the affected
// blob.
type previousError struct{ error }

// blobFile receives a blob, which is then read back.
type blobFile interface {
	io.Writer
	io.ReaderAt
}

// copyProven copies a blob from the previous image that is proven to be the layer.
func (w *writer) copyProven(ctx context.Context, out blobFile, previous StoredLayer, l *layerFiles, b *blob) error {
	if most := w.maxSize(l); previous.Descriptor.Size > most {
		return &previousError{fmt.Errorf("has %d bytes, but the layer compresses to at most %d", previous.Descriptor.Size, most)}
	}
	in, err := openBlob(ctx, previous)
	if err != nil {
		return &previousError{err}
	}
	defer in.Close()
	kept := &sticky{w: out}
	blob := io.TeeReader(in, kept)
	if err = w.prove(ctx, blob, previous.Descriptor.Digest, previous.Descriptor.Size, l, previous.DiffID); err == nil {
		_, err = io.Copy(io.Discard, blob) // to its end, where its digest is checked
	}
	if err == nil && l.chunked {
		err = w.proveChunked(ctx, out, previous.Descriptor.Digest, previous.Descriptor.Size, l, b)
	}
	switch {
	case kept.err != nil:
		return kept.err // a local disk error
	case in.err != nil && in.err != io.EOF:
		return &previousError{in.err}
	case err != nil:
		return &previousError{err}
	}
	return nil
}

// sticky records its writer's error.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) Write(p []byte) (n int, err error) {
	n, err = s.w.Write(p)
	s.err = err
	return n, err
}

// recordRefusal records why a blob from the previous image was not used.
func (w *writer) recordRefusal(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report.Refused = append(w.report.Refused, why)
}
