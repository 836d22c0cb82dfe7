package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"chunkah/lib/metrics"
)

// FlattenOptions are the options of Flatten. The zero value is safe.
type FlattenOptions struct {
	// Spool is the directory for decompressed layers, which take about the size of the image. Empty
	// means TMPDIR, or else /var/tmp.
	Spool string
	// MaxBytes is the largest decompressed size of all layers together. 0 means 256 GiB.
	MaxBytes int64
	// Threads is the largest number of layers that are decompressed in parallel. 0 means the number
	// of cores.
	Threads int
	// Keep is the number of layers, from the bottom, that Tree.Gone compares with the tree.
	Keep int
	// Sums stores the SHA-256 of each file instead of its contents. In this case, Tree.Sum returns
	// the hash, Tree.Open does not work, and layers are neither spooled nor read again.
	Sums bool
	// See is called for each entry in every layer's tar, except global headers, with the SHA-256 of
	// the entry's contents. It can be nil. Calls for different layers are concurrent, and calls for
	// one layer are sequential.
	See func(layer int, h *tar.Header, sum [sha256.Size]byte)
	// Store receives the regular files that are not empty, instead of the spool. In this case,
	// Tree.Stored returns their numbers, and Tree.Open does not work. Store can be nil, and cannot
	// be used together with Sums and See.
	Store Store
	// Work counts the bytes that are read from blobs. It can be nil.
	Work *metrics.Work
	// Records is called with the entries of each layer as file records. They contain digests only
	// if Sums is set. It can be nil. Calls for different layers are concurrent.
	Records func(layer int, l LayerEntries)
	// Watch receives entries and faults. If it is nil, Flatten returns the first fault as an error.
	Watch Watcher
}

// Flatten applies the layers of an image to one tree. The image must stay open, because plain
// layers are read in place.
func Flatten(ctx context.Context, img *Image, opt FlattenOptions) (*Tree, error) {
	n := len(img.Layers)
	if n > maxLayers {
		return nil, fmt.Errorf("flattening %d layers: the limit is %d", n, maxLayers)
	}
	if opt.Keep > n {
		return nil, fmt.Errorf("cannot keep %d layers: there are only %d", opt.Keep, n)
	}
	f := &flattening{tree: &Tree{root: impliedDir(0), layers: make([]layer, n)}, img: img, opt: opt, budget: newBudget(opt.maxBytes())}
	if err := f.run(ctx); err != nil {
		return nil, errors.Join(err, f.tree.Close())
	}
	// Free the memory of this phase, most of which is used by the windows of decompressors.
	// Otherwise, the peak memory of a build would be a fifth higher.
	if f.opt.maxBytes()-f.budget.bytes.Load() >= worthFreeing {
		debug.FreeOSMemory()
	}
	return f.tree, nil
}

// worthFreeing is the minimum number of decompressed bytes for which a garbage collection is
// worthwhile. A collection takes milliseconds, which is longer than all other work for a small
// image.
const worthFreeing = 16 << 20

func (o FlattenOptions) maxBytes() int64 {
	if o.MaxBytes <= 0 {
		return defaultMaxBytes
	}
	return o.MaxBytes
}

func (o FlattenOptions) threads() int {
	if o.Threads <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return o.Threads
}

// flattening is one call of Flatten.
type flattening struct {
	tree   *Tree
	img    *Image
	opt    FlattenOptions
	budget *budget
}

// run reads layers in parallel and applies them in order.
func (f *flattening) run(ctx context.Context) error {
	for _, l := range f.img.Layers {
		f.opt.Work.Expect(l.Descriptor.Size)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	results := make([]chan []entry, len(f.tree.layers))
	jobs := make(chan int, len(results))
	for i := range results {
		results[i] = make(chan []entry, 1)
		jobs <- i
	}
	close(jobs)
	var workers sync.WaitGroup
	for range min(f.opt.threads(), len(results)) {
		workers.Go(func() {
			var u unpacker
			defer u.close()
			for i := range jobs {
				entries, err := f.read(ctx, i, &u)
				if err != nil {
					cancel(err)
					return
				}
				results[i] <- entries
			}
		})
	}
	err := f.apply(ctx, results)
	cancel(err)
	workers.Wait()
	return err
}

// read reads one layer.
func (f *flattening) read(ctx context.Context, i int, u *unpacker) ([]entry, error) {
	r := &layerReader{
		layer: &f.tree.layers[i], budget: f.budget, dir: f.opt.Spool, ordinal: uint16(i), unpacker: u, sums: f.opt.Sums, see: f.opt.See, store: f.opt.Store, work: f.opt.Work, observer: f.observer(ctx, i),
	}
	entries, err := r.readLayer(ctx, f.img, i)
	if err = r.observer.fault("", err); err != nil {
		return nil, f.inLayer(i, err)
	}
	if f.opt.Records != nil {
		f.opt.Records(i, f.records(i, entries))
	}
	return entries, nil
}

// observer returns the observer of layer i.
func (f *flattening) observer(ctx context.Context, i int) observer {
	return observer{ctx, f.opt.Watch, i}
}

// inLayer adds the layer to an error.
func (f *flattening) inLayer(i int, err error) error {
	if f.img.rootTar {
		return fmt.Errorf("reading %q: %w", f.img.Source, err)
	}
	return fmt.Errorf("reading layer %d (%s) of %q: %w", i, f.img.Layers[i].Descriptor.Digest, f.img.Source, err)
}

// apply applies the layers in order, each as soon as it is read.
func (f *flattening) apply(ctx context.Context, results []chan []entry) error {
	a := &applier{tree: f.tree, budget: f.budget, detours: freeDetours, rootTar: f.img.rootTar}
	var kept *shape
	for i, result := range results {
		var entries []entry
		select {
		case entries = <-result:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := a.apply(entries, uint16(i), f.observer(ctx, i)); err != nil {
			return f.inLayer(i, err)
		}
		if i+1 == f.opt.Keep {
			kept = f.tree.root.shape()
		}
	}
	if err := f.tree.seal(f.maxNames()); err != nil {
		return fmt.Errorf("flattening %q: %w", f.img.Source, err)
	}
	f.tree.gone = kept.missing(f.tree.root, "/", nil)
	return nil
}

// maxNames returns the largest number of bytes for all names in the tree.
func (f *flattening) maxNames() int64 {
	blobs := int64(0)
	for _, l := range f.img.Layers {
		blobs += min(l.Descriptor.Size, maxMetadata)
	}
	return min(times(freeNames, blobs), maxMetadata)
}
