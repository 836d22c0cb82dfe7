package write

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"chunkah/format"
	"chunkah/lib/compress"
	"chunkah/lib/layer"
	"chunkah/lib/oci"
	"chunkah/lib/plan"
)

// The layer annotations are chunkah's own. The Rust chunkah uses the same names.
const (
	annotationComponent = "org.chunkah.component"
	annotationStability = "org.chunkah.stability"
)

// writeLayers digests the layers on all cores, starting with the largest layer, and writes each
// layer as soon as all layers before it in that order are written. In this way, hashing and writing
// overlap, a layer is written while its files are still in the page cache, and only a few layers
// are spooled. The output does not depend on the speed of the goroutines.
func (w *writer) writeLayers(ctx context.Context) error {
	order := w.order()
	w.chooseChunked()
	if err := w.reserve(order); err != nil {
		return err
	}
	w.warm = w.mayBeCached()
	w.countExpected()
	ctx, cancel := context.WithCancelCause(ctx)
	pool := compress.NewPool(w.opt.Threads)
	jobs := make(chan int, len(order))
	results := make([]chan *blob, len(order))
	for _, i := range order {
		jobs <- i
		results[i] = make(chan *blob, 1)
	}
	close(jobs)
	var workers sync.WaitGroup
	for range min(w.opt.Threads, len(order)) {
		workers.Go(func() {
			for i := range jobs {
				b, err := w.firstPass(ctx, pool, i)
				if err != nil {
					cancel(err)
					return
				}
				results[i] <- b
			}
		})
	}
	err := w.assemble(ctx, order, results)
	cancel(err)
	workers.Wait()
	pool.Close()
	discard(results)
	return err
}

// order measures the layers and returns them by size, the largest first, so that the last layer to
// finish is small. If the destination accepts layers only in image order (oci.Stacked), they are
// returned in that order instead.
func (w *writer) order() []int {
	layers := w.img.layers
	order := make([]int, len(layers))
	for i := range layers {
		order[i] = i
		layers[i].size = layer.Size(layers[i].files)
	}
	if w.access != oci.Stacked {
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(layers[b].size, layers[a].size) })
	}
	for rank, i := range order {
		layers[i].rank, layers[i].spool = rank, &spooledBlob{dir: w.opt.SpoolDir}
	}
	return order
}

// discard closes the spools that were not used because of an error.
func discard(results []chan *blob) {
	for _, r := range results {
		select {
		case b := <-r:
			b.close()
		default:
		}
	}
}

// assemble writes the blobs as they arrive, then the documents, and finishes the image.
func (w *writer) assemble(ctx context.Context, order []int, results []chan *blob) error {
	if err := w.cleanKept(ctx); err != nil {
		return err
	}
	if err := w.writeKept(ctx); err != nil {
		return err
	}
	blobs, err := w.placeAll(ctx, order, results)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // the reason why the run was cancelled
		}
		return err
	}
	image, err := w.describe(blobs)
	if err != nil {
		return err
	}
	built, err := image.Build()
	if err != nil {
		return err
	}
	for _, doc := range []oci.Document{built.Config, built.Manifest} {
		if err := w.dest.Blob(doc.Descriptor, oci.Hint{}, oci.Data(doc.Data)); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.manifest = built.Manifest.Descriptor.Digest
	w.report.Config, w.report.Blobs = built.Config.Descriptor.Digest, image.Layers
	w.at, err = w.dest.Finish(built.Index)
	return err
}

// placeAll makes the second pass over all layers.
func (w *writer) placeAll(ctx context.Context, order []int, results []chan *blob) ([]*blob, error) {
	if n := w.dest.Traits().Parallel; n > 0 {
		return w.placeParallel(ctx, n, order, results)
	}
	blobs := make([]*blob, len(order))
	for _, i := range order {
		if err := w.startEntry(ctx, &w.img.layers[i]); err != nil {
			return nil, err
		}
		select {
		case blobs[i] = <-results[i]:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := w.secondPass(ctx, i, blobs[i]); err != nil {
			return nil, err
		}
	}
	return blobs, nil
}

// placeParallel writes up to most blobs at the same time, as they arrive.
func (w *writer) placeParallel(ctx context.Context, most int, order []int, results []chan *blob) ([]*blob, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(most)
	blobs := make([]*blob, len(order))
	for _, i := range order {
		select {
		case blobs[i] = <-results[i]:
		case <-ctx.Done():
			if err := group.Wait(); err != nil {
				return nil, err
			}
			return nil, context.Cause(ctx)
		}
		group.Go(func() error { return w.secondPass(ctx, i, blobs[i]) })
	}
	return blobs, group.Wait()
}

// startEntry starts the next layer's entry in an archive while the layer is still being compressed,
// so that no core has to wait at the end of the build until another core has copied a spool. A blob
// that can come from the cache or the previous image is copied as a whole instead.
func (w *writer) startEntry(ctx context.Context, l *layerFiles) error {
	if w.access != oci.RandomAccess || !w.compressed() || w.opt.Cache != nil || len(w.opt.Reusable) > 0 {
		return nil
	}
	entry, err := w.dest.NewBlob(w.maxSize(l), true)
	if err != nil || entry == nil {
		return err
	}
	return l.spool.writeTo(ctx, entry)
}

// describe builds the image from the blobs.
func (w *writer) describe(blobs []*blob) (*oci.Image, error) {
	for i, b := range blobs {
		if err := w.proveEntries(&w.img.layers[i], b); err != nil {
			return nil, err
		}
	}
	comments, lacks, err := w.img.comments(w.kept)
	if err != nil {
		return nil, err
	}
	created, from := w.created()
	w.report.Created, w.report.CreatedFrom, w.report.PlanLacks = *created, from, lacks
	if w.opt.Created != nil {
		w.report.Created, w.report.CreatedFrom = *w.opt.Created, "--created"
	}
	image := &oci.Image{Config: w.config, Created: &w.report.Created, Ref: w.opt.Ref, Also: w.opt.Also, Docker: w.opt.Docker}
	w.report.BaseLayers, w.report.KeptLayers = len(w.base), len(w.kept)
	w.report.In = make(map[string][]digest.Digest)
	for _, k := range w.base {
		image.Layers = append(image.Layers, k.layer())
	}
	for i, k := range w.kept {
		k.History.Comment = comments[i]
		image.Layers = append(image.Layers, k.layer())
		w.countKept(&w.img.kept[i], k)
	}
	comments = comments[len(w.kept):]
	for i, b := range blobs {
		w.count(&w.img.layers[i], b)
		image.Layers = append(image.Layers, w.layer(&w.img.layers[i], b, v1.History{
			Created: created, CreatedBy: plan.Author, Comment: comments[i],
		}))
	}
	w.report.WriteFiles = w.files()
	w.countVisible()
	return image, nil
}

func (w *writer) count(l *layerFiles, b *blob) {
	w.report.Layers++
	w.report.Components += len(l.record.Components)
	for _, name := range l.record.Components {
		w.report.In[name] = append(w.report.In[name], b.digest)
	}
	w.report.Bytes += b.tar
	w.report.BlobBytes += b.size
	if b.reused {
		w.report.Reused++
		w.report.ReusedBytes += b.size
	}
	for _, f := range l.files {
		if f.Type != format.TypeDir {
			w.report.Files++
		}
	}
}

// layer returns the description of a layer.
func (w *writer) layer(l *layerFiles, b *blob, history v1.History) oci.Layer {
	d := w.descriptor(b)
	d.Annotations = map[string]string{
		annotationComponent: l.components(),
		annotationStability: ppm(l.record.StabilityPPM),
	}
	maps.Copy(d.Annotations, b.annotations)
	return oci.Layer{Descriptor: d, DiffID: b.diffID, History: history}
}

func (w *writer) descriptor(b *blob) v1.Descriptor {
	return v1.Descriptor{
		MediaType: v1.MediaTypeImageLayer + w.opt.Compression.Algorithm.MediaTypeSuffix(),
		Digest:    b.digest,
		Size:      b.size,
		// A registry destination uses these annotations to find out that clients will request
		// chunks.
		Annotations: b.annotations,
	}
}

// ppm formats parts per million as a decimal fraction.
func ppm(n int64) string {
	return fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000)
}

// allUnreadable extends the error for one unreadable file to all unreadable files, so that users
// need not find them one by one.
func (w *writer) allUnreadable(ctx context.Context, err error) error {
	var one *unreadableError
	if !errors.As(err, &one) {
		return err
	}
	all := &unreadableError{}
	c := w.newContents()
	defer c.close()
	for _, l := range w.img.layers {
		for _, f := range l.files {
			if f.Type != format.TypeFile || ctx.Err() != nil {
				continue
			}
			err := c.open(f.Path, false)
			if err == nil {
				_ = c.file.Close() // nothing was written
			} else if errors.As(err, &one) {
				all.paths = append(all.paths, f.Path)
			}
		}
	}
	if len(all.paths) == 0 {
		return err
	}
	slices.SortFunc(all.paths, format.ComparePaths)
	return all
}
