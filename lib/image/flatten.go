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
)

// FlattenOptions tune Flatten. The zero value is safe.
type FlattenOptions struct {
	// Spool is the folder for what is decompressed: about as large as the layers
	// are. Empty means TMPDIR, or else /var/tmp.
	Spool string
	// MaxBytes bounds what all layers decompress to; 0 means 256 GiB.
	MaxBytes int64
	// Threads bounds the layers that are decompressed at once; 0 means one a core.
	Threads int
	// Keep is how many layers, from the bottom, Tree.Gone compares the tree with.
	Keep int
	// Sums takes the SHA-256 of each file in place of its contents: Tree.Sum has it,
	// Tree.Open has nothing, and no layer is read again or spooled.
	Sums bool
	// See is given each entry of every layer as it stands in its tar, but global
	// headers, with the SHA-256 of its contents, or of nothing; nil for nobody. It is
	// called by several goroutines at once, about one layer by one at a time.
	See func(layer int, h *tar.Header, sum [sha256.Size]byte)
	// Watch is told of what is read and of what is wrong with it; nil for nobody,
	// and the first fault is an error.
	Watch Watcher
}

// Flatten lays the layers of an image over each other. The image stays open: plain
// layers are read in place.
func Flatten(ctx context.Context, img *Image, opt FlattenOptions) (*Tree, error) {
	n := len(img.Layers)
	if n > maxLayers {
		return nil, fmt.Errorf("flattening %d layers: more than %d", n, maxLayers)
	}
	if opt.Keep > n {
		return nil, fmt.Errorf("keeping %d layers of %d: there are not so many", opt.Keep, n)
	}
	f := &flattening{tree: &Tree{root: impliedDir(0), layers: make([]layer, n)}, img: img, opt: opt, budget: newBudget(opt.maxBytes())}
	if err := f.run(ctx); err != nil {
		return nil, errors.Join(err, f.tree.Close())
	}
	// What it took to get here, the windows of decompressors before all, is not to
	// lie beside what a build needs next: that is a fifth of its memory.
	if f.opt.maxBytes()-f.budget.bytes.Load() >= worthFreeing {
		debug.FreeOSMemory()
	}
	return f.tree, nil
}

// worthFreeing is how much has to be unpacked for it to leave memory behind that is
// worth a collection of all garbage, in bytes. That takes milliseconds, more than all
// else with a small image.
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

// run reads several layers at once and applies them one after the other.
func (f *flattening) run(ctx context.Context) error {
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
		layer: &f.tree.layers[i], budget: f.budget, dir: f.opt.Spool, ordinal: uint16(i), unpacker: u, sums: f.opt.Sums, see: f.opt.See, eye: f.eye(ctx, i),
	}
	entries, err := r.readLayer(ctx, f.img, i)
	if err = r.eye.fault("", err); err != nil {
		return nil, f.inLayer(i, err)
	}
	return entries, nil
}

// eye watches a layer.
func (f *flattening) eye(ctx context.Context, i int) eye {
	return eye{ctx, f.opt.Watch, i}
}

// inLayer adds to an error which layer it is about.
func (f *flattening) inLayer(i int, err error) error {
	if f.img.rootTar {
		return fmt.Errorf("reading %q: %w", f.img.Source, err)
	}
	return fmt.Errorf("reading layer %d (%s) of %q: %w", i, f.img.Layers[i].Descriptor.Digest, f.img.Source, err)
}

// apply applies the layers as they come.
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
		if err := a.apply(entries, uint16(i), f.eye(ctx, i)); err != nil {
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

// maxNames bounds what all names of the tree take, in bytes.
func (f *flattening) maxNames() int64 {
	blobs := int64(0)
	for _, l := range f.img.Layers {
		blobs += min(l.Descriptor.Size, maxMetadata)
	}
	return min(times(freeNames, blobs), maxMetadata)
}
