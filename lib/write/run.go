package write

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"sort"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/compress"
	"chunkah/lib/layer"
	"chunkah/lib/oci"
)

// The annotations of a layer (chunkah's own, as the Rust tool of that name has
// them).
const (
	annotationComponent = "org.chunkah.component"
	annotationStability = "org.chunkah.stability"
)

// blob is a layer that has been digested.
type blob struct {
	diffID digest.Digest
	digest digest.Digest
	size   int64 // of the blob
	tar    int64 // of the tar
	proofs []proof
	// spool holds a compressed blob until its turn comes. It has no name.
	spool *os.File
	err   error
}

// run digests the layers on all cores, the largest first, and writes each as
// soon as it is its turn.
func (w *writer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	pool := compress.NewPool(w.opt.Threads)
	var workers sync.WaitGroup
	results := make([]chan *blob, len(w.img.layers))
	for i := range results {
		results[i] = make(chan *blob, 1)
	}
	defer func() {
		cancel()
		workers.Wait()
		pool.Close()
		discard(results)
	}()
	jobs := w.schedule()
	for range min(w.opt.Threads, len(results)) {
		workers.Go(func() {
			for i := range jobs {
				b := w.digest(ctx, pool, &w.img.layers[i])
				results[i] <- b
			}
		})
	}
	return w.assemble(ctx, results)
}

// schedule hands out the layers, those with the most bytes first, so that the
// last one is a small one.
func (w *writer) schedule() <-chan int {
	order := make([]int, len(w.img.layers))
	sizes := make([]int64, len(w.img.layers))
	for i, l := range w.img.layers {
		order[i], sizes[i] = i, layer.Size(l.files)
	}
	sort.SliceStable(order, func(a, b int) bool { return sizes[order[a]] > sizes[order[b]] })
	jobs := make(chan int, len(order))
	for _, i := range order {
		jobs <- i
	}
	close(jobs)
	return jobs
}

// discard closes the spools that nobody took, after an error.
func discard(results []chan *blob) {
	for _, r := range results {
		select {
		case b := <-r:
			b.close()
		default:
		}
	}
}

func (b *blob) close() {
	if b.spool != nil {
		b.spool.Close()
		b.spool = nil
	}
}

// digest makes the first pass over a layer.
func (w *writer) digest(ctx context.Context, pool *compress.Pool, l *layerFiles) *blob {
	b := &blob{}
	if b.err = context.Cause(ctx); b.err != nil {
		return b
	}
	if layout, ok := w.dest.(*oci.Layout); ok {
		b.err = w.digestIntoLayout(ctx, pool, layout, l, b)
	} else {
		b.err = w.digestForArchive(ctx, pool, l, b)
	}
	return b
}

// digestIntoLayout writes the blob to its place while it is digested.
func (w *writer) digestIntoLayout(ctx context.Context, pool *compress.Pool, layout *oci.Layout, l *layerFiles, b *blob) error {
	out, err := layout.NewBlob()
	if err != nil {
		return err
	}
	defer out.Abort()
	if err := w.tar(ctx, pool, out, l, b); err != nil {
		return err
	}
	b.digest, b.size, err = out.Commit()
	if w.opt.Compression.Algorithm == compress.None {
		b.diffID = b.digest
	}
	return err
}

// digestForArchive digests the tar only, or spools the compressed blob: an
// archive has to know a blob's size before it.
func (w *writer) digestForArchive(ctx context.Context, pool *compress.Pool, l *layerFiles, b *blob) error {
	sum := sha256.New()
	if w.opt.Compression.Algorithm == compress.None {
		b.proofs = make([]proof, len(l.files))
		if err := w.tar(ctx, pool, sum, l, b); err != nil {
			return err
		}
		b.digest, b.size = digest.NewDigest(digest.SHA256, sum), b.tar
		b.diffID = b.digest
		return nil
	}
	spool, err := createSpool(w.opt.SpoolDir)
	if err != nil {
		return err
	}
	b.spool = spool
	size := &counter{w: io.MultiWriter(spool, sum)}
	if err := w.tar(ctx, pool, size, l, b); err != nil {
		b.close()
		return err
	}
	b.digest, b.size = digest.NewDigest(digest.SHA256, sum), size.n
	return nil
}

// createSpool makes a file that is gone when it is closed, however that comes.
func createSpool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".chunkah-*.tmp")
	if err != nil {
		return nil, fmt.Errorf("creating a spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("creating a spool file: %w", err)
	}
	return f, nil
}

// tar writes a layer, compressed as the options say, to out. It sets the tar's
// size, and its digest where that is not the blob's.
func (w *writer) tar(ctx context.Context, pool *compress.Pool, out io.Writer, l *layerFiles, b *blob) error {
	c := newContents(w.root)
	defer c.close()
	c.proofs, c.record = b.proofs, true
	b.tar = layer.Size(l.files)
	if w.opt.Compression.Algorithm == compress.None {
		buffered := bufio.NewWriterSize(out, copyBuffer)
		if err := layer.Write(ctx, buffered, l.files, c); err != nil {
			return err
		}
		return buffered.Flush()
	}
	z, err := pool.NewWriter(ctx, out, w.opt.Compression)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := layer.Write(ctx, tee{sum, z}, l.files, c); err != nil {
		return err
	}
	b.diffID = digest.NewDigest(digest.SHA256, sum)
	return z.Close()
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

// assemble writes the blobs in order, then what describes them.
func (w *writer) assemble(ctx context.Context, results []chan *blob) error {
	created, from := w.created()
	w.report.Created, w.report.CreatedFrom = *created, from
	image := &oci.Image{Config: w.opt.Config, Created: created, Ref: w.opt.Ref}
	known := make(map[digest.Digest]bool)
	for i := range results {
		b := <-results[i]
		if b.err != nil {
			return b.err
		}
		if known[b.diffID] {
			b.close()
			w.report.Duplicates++
			continue
		}
		known[b.diffID] = true
		l := w.describe(&w.img.layers[i], b, image)
		image.Layers = append(image.Layers, l)
		if err := w.place(ctx, &w.img.layers[i], b, l.Descriptor); err != nil {
			return err
		}
	}
	built, err := image.Build()
	if err != nil {
		return err
	}
	for _, doc := range []oci.Document{built.Config, built.Manifest} {
		if err := w.dest.Blob(doc.Descriptor, oci.Data(doc.Data)); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	w.report.Manifest = built.Manifest.Descriptor.Digest.String()
	return w.dest.Commit(built.Index)
}

// describe makes a layer's descriptor and history, and counts it.
func (w *writer) describe(l *layerFiles, b *blob, image *oci.Image) oci.Layer {
	w.report.Layers++
	w.report.Components += len(l.record.Components)
	w.report.Bytes += b.tar
	w.report.BlobBytes += b.size
	for _, f := range l.files {
		if f.Type != "dir" {
			w.report.Files++
		}
	}
	return oci.Layer{
		Descriptor: v1.Descriptor{
			MediaType: v1.MediaTypeImageLayer + w.opt.Compression.Algorithm.MediaTypeSuffix(),
			Digest:    b.digest,
			Size:      b.size,
			Annotations: map[string]string{
				annotationComponent: l.components(),
				annotationStability: ppm(l.record.StabilityPPM),
			},
		},
		DiffID: b.diffID,
		History: v1.History{
			Created: image.Created, CreatedBy: "chunkah", Comment: l.components(),
		},
	}
}

// ppm writes parts per million as a decimal fraction.
func ppm(n int64) string {
	return fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000)
}

// place makes the second pass: the blob goes where it belongs.
func (w *writer) place(ctx context.Context, l *layerFiles, b *blob, d v1.Descriptor) error {
	if _, ok := w.dest.(*oci.Layout); ok {
		return nil // it is there since the first pass
	}
	if b.spool != nil {
		defer b.close()
		if _, err := b.spool.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("reading a spool file: %w", err)
		}
		return w.dest.Blob(d, func(out io.Writer) error {
			_, err := io.Copy(out, b.spool)
			return err
		})
	}
	return w.dest.Blob(d, func(out io.Writer) error {
		c := newContents(w.root)
		defer c.close()
		c.proofs = b.proofs
		buffered := bufio.NewWriterSize(out, copyBuffer)
		if err := layer.Write(ctx, buffered, l.files, c); err != nil {
			return err
		}
		return buffered.Flush()
	})
}
