// Package write turns a packed stream into an image. It turns the layers into tars and blobs, and
// writes the blobs, the config, the manifest and the index to a destination from package oci.
//
// The bytes depend only on the stream, the contents and the options, not on the number of threads.
// Layers that are not compressed are read twice if the output is a pipe, a registry or
// containers-storage. The first pass computes the digests on all cores. The second pass writes the
// layers and must result in the same digests. So nothing has to be stored between the two passes.
package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/cache"
	"chunkah/lib/compress"
	"chunkah/lib/metrics"
	"chunkah/lib/oci"
	"chunkah/lib/proofs"
	"chunkah/lib/rootfs"
)

// Options define which image is written, and where.
type Options struct {
	// Inputs contains the open source. If Inputs is nil, the source in the stream's header is
	// opened.
	Inputs *Inputs
	// Open opens the source in a header. If Open is nil, the source must be a directory. Run closes
	// the result.
	Open func(ctx context.Context, h *format.Header) (*Inputs, error)
	// OpenPrevious opens the image that a header's Previous names, and returns the image's layers
	// by diffID. If OpenPrevious is nil, no layers of a previous image can be kept.
	OpenPrevious func(ctx context.Context, name string) (map[digest.Digest]StoredLayer, io.Closer, error)
	// Scanned means that this run has scanned Inputs.Root. In that case, regular files are opened
	// without another check. As long as the tree does not change, nothing else is read.
	Scanned bool
	// Create creates the destination, once the stream is known to be complete.
	Create func() (oci.Destination, error)
	// Also lists names for the image in addition to Ref.
	Also []string
	// Config is the image's config. If it is nil, the source's config is used, or else an empty
	// config. If it names no architecture, this program's architecture is used.
	Config *oci.Config
	// KeepLabels lists labels and annotations that are kept although they describe the layers of
	// the source image.
	KeepLabels []string
	// Created is the creation time in the config. It takes precedence over the source date and the
	// config's own time. It is nil if no time was given.
	Created *time.Time
	// Docker requests a manifest in Docker's format instead of the OCI format.
	Docker bool
	// Edit changes a copy of the config. If Edit is nil, the config stays as it is.
	Edit func(*oci.Config) error
	// Ref is the image's name in the destination; empty for no name.
	Ref string
	// Compression applies to the layers; the zero value means no compression.
	Compression compress.Settings
	// Chunked requests zstd:chunked for layers compressed with zstd, except layers whose files
	// would differ for a client that fetches chunks.
	Chunked bool
	// Threads is the largest number of layers and blocks that are processed in parallel; 0 means
	// the number of cores.
	Threads int
	// SpoolDir is the directory for unnamed files with compressed layers that cannot be written
	// yet. Empty means TMPDIR, or else /var/tmp.
	SpoolDir string
	// Cache stores compressed layers from one build to the next. It is nil if there is no cache.
	Cache *cache.Cache
	// Reusable contains layers of an earlier image, which can be reused if they have the same
	// diffID and Compression. The diffIDs in the earlier image can be wrong, so each layer is first
	// read and decompressed.
	Reusable map[digest.Digest]StoredLayer
	// Proofs lists the blobs for which this user has already verified that they decompress to their
	// layers, and the verified entries of layers. If a layer has a digest of its entries, this run
	// verifies the entries and adds the layer. Proofs can be nil.
	Proofs *proofs.Proofs
	// Record adds all compressed blobs of this run to Proofs, because later runs can reuse them.
	Record bool
	// TrustPrevious keeps the zstd:chunked tables of layers of the previous image without verifying
	// them.
	TrustPrevious bool
	// OutputNames are additional base names that the output can have in the root and that are not
	// part of the destination.
	OutputNames []string
	// Own lists files and directories that no image may contain, in addition to the output, such as
	// a cache in the root.
	Own []os.FileInfo
	// Work counts the expected and finished bytes of tars, and of blobs sent to a registry. If it
	// is nil, nothing is counted.
	Work *metrics.Work
}

func (o Options) withDefaults() (Options, error) {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Compression.Algorithm == "" {
		o.Compression.Algorithm = compress.None
	}
	if o.Chunked && o.Compression.Algorithm != compress.Zstd {
		return o, fmt.Errorf("only layers compressed with zstd can be zstd:chunked, not with %q", o.Compression.Algorithm)
	}
	return o, o.Compression.Validate()
}

// Report describes the written image.
type Report struct {
	Layers     int
	Components int
	Files      int64 // directories are not counted
	Bytes      int64 // total size of the layers' tars
	BlobBytes  int64 // total size of the layers' blobs
	// Manifest is the digest of the manifest in the first output. Manifests are the digests in all
	// outputs. They differ only if a registry got a manifest in Docker's format.
	Manifest  string
	Manifests []digest.Digest
	// Config is the digest of the config. Blobs lists all layers from the bottom up, including kept
	// layers.
	Config digest.Digest
	Blobs  []oci.Layer
	// In maps each component to the digests of its layers, from the bottom up.
	In      map[string][]digest.Digest
	Created time.Time
	// CreatedFrom describes the source of the image's creation time.
	CreatedFrom string
	// Reused is the number of layers whose blobs came from the cache or the previous image.
	// ReusedBytes is the total size of these blobs.
	Reused      int
	ReusedBytes int64
	// Dropped lists the labels and annotations about layers that were removed. Stale lists
	// such labels and annotations that come from a given config and stay in the image.
	Dropped, Stale []string
	// Unmarked lists the layers that are not zstd:chunked although this was requested.
	Unmarked []Unmarked
	// Refused lists the reasons why blobs from the previous image were not used.
	Refused []error
	// LostTables lists the reasons why kept layers of the previous image lost their zstd:chunked
	// tables.
	LostTables []error
	// CacheFault is the error from trimming the cache to its size.
	CacheFault error
	// ProofsFault is the error from saving the proofs.
	ProofsFault error
	// PlanLacks describes what was left out of the plan in the history because the plan would be
	// too large. It is empty if nothing was left out.
	PlanLacks string
	// LeftOut lists the paths of the output itself, which are not in the image.
	LeftOut []string
	// BaseLayers is the number of layers kept from the source image (--keep-base). KeptLayers is
	// the number of layers kept from the previous image (--max-stale).
	BaseLayers, KeptLayers int
	// WriteFiles writes the files of the image (format/SPEC.md, section 13). It is nil if the
	// stream does not contain all files.
	WriteFiles func(io.Writer) error
	// Duplicates is the number of layers that were left out because they were equal to an earlier
	// layer.
	Duplicates int
}

// Unmarked is a layer that is not zstd:chunked.
type Unmarked struct {
	Reason string // completes "it has"
	Path   string // the first path with that reason
}

// Pending is a finished image that is not visible yet. The caller must commit or discard it.
type Pending struct {
	Report *Report
	// Config is the image's config, with the annotations of a manifest in OCI's format.
	Config *oci.Config
	// At lists, for each destination, where the image can be read before Commit, if the destination
	// was created to allow this.
	At []oci.Finished

	w *writer
}

// Commit makes the image visible. If Commit fails, it discards the image.
func (p *Pending) Commit() error {
	if err := p.w.dest.Commit(); err != nil {
		return err
	}
	p.w.written()
	p.Report.ProofsFault = p.w.opt.Proofs.Save()
	if cache := p.w.opt.Cache; cache != nil {
		// The image is complete, whether or not the cache can be trimmed.
		_, p.Report.CacheFault = cache.Trim()
	}
	return nil
}

// Discard removes the written files. After Commit it does nothing.
func (p *Pending) Discard() error { return p.w.dest.Discard() }

// Run reads a packed stream and writes the image, which Commit makes visible.
func Run(ctx context.Context, in format.Source, opt Options) (pending *Pending, err error) {
	if opt, err = opt.withDefaults(); err != nil {
		return nil, err
	}
	img, err := read(ctx, in)
	if err != nil {
		return nil, err
	}
	inputs := opt.Inputs
	if inputs == nil {
		if inputs, err = opt.open(ctx, &img.header); err != nil {
			return nil, err
		}
		defer inputs.Close()
	}
	report := &Report{}
	config, err := opt.config(inputs, report)
	if err != nil {
		return nil, err
	}
	if err := inputs.check(img); err != nil {
		return nil, err
	}
	kept, previous, err := opt.keptPrevious(ctx, img)
	if err != nil {
		return nil, err
	}
	defer previous.Close() // it was only used for reading
	dest, err := opt.Create()
	if err != nil {
		return nil, err
	}
	w := &writer{
		opt: opt, root: inputs.Root, base: inputs.Base, kept: kept, config: config, img: img, report: report,
		dest: dest, access: dest.Traits().Access,
	}
	if err := w.write(ctx); err != nil {
		return nil, errors.Join(w.allUnreadable(ctx, err), dest.Discard())
	}
	w.written()
	given := *config
	given.Created = &report.Created
	return &Pending{Report: report, Config: &given, At: w.at, w: w}, nil
}

// written adds to the report the digests under which the outputs have stored the manifest.
func (w *writer) written() {
	w.report.Manifests = w.dest.Written(w.manifest)
	w.report.Manifest = w.report.Manifests[0].String()
}

func (w *writer) write(ctx context.Context) error {
	if err := w.leaveOutOutput(); err != nil {
		return err
	}
	if err := w.resolveSizes(ctx); err != nil {
		return err
	}
	if err := w.dropEqual(ctx); err != nil {
		return err
	}
	return w.writeLayers(ctx)
}

// read reads a packed stream and checks it.
func read(ctx context.Context, in format.Source) (*image, error) {
	img := &image{}
	for rec, err := range format.All(in) {
		if err != nil {
			return nil, err
		}
		switch rec := rec.(type) {
		case *format.Header:
			if rec.Stage != format.StagePack && rec.Stage != "" {
				return nil, fmt.Errorf("the stream comes from %s: run chunkah-pack before chunkah-write", rec.Stage)
			}
			img.header = *rec
		case *format.Component:
			img.components++
		case *format.Layer:
			if len(img.layers)+len(img.kept) == maxLayers {
				return nil, fmt.Errorf("the stream has more than %d layers", maxLayers)
			}
			if rec.DiffID == "" {
				img.layers = append(img.layers, layerFiles{record: rec})
				break
			}
			if len(img.layers) > 0 {
				return nil, fmt.Errorf("layer %d is a kept layer above new layers: kept layers must come first", rec.Index)
			}
			img.kept = append(img.kept, keptFiles{record: rec})
		case *format.File:
			if err := img.add(rec); err != nil {
				return nil, err
			}
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
	return img, img.check()
}

// writer writes one image.
type writer struct {
	opt    Options
	root   *rootfs.Root
	base   []StoredLayer // below all others
	kept   []StoredLayer // of img.kept
	config *oci.Config
	img    *image
	dest   oci.Destination
	access oci.Access // how dest is accessed
	at     []oci.Finished
	report *Report
	// manifest is the digest of the manifest that the destination received.
	manifest digest.Digest
	// entries contains the space reserved for the layers in an archive. It is nil if no space is
	// reserved.
	entries []oci.BlobWriter
	// warm is set if the cache was not empty.
	warm bool
	mu   sync.Mutex // protects Report.Refused
}

// resolveSizes reads sizes from the source if the stream contains none.
func (w *writer) resolveSizes(ctx context.Context) error {
	c := w.newContents()
	defer c.close()
	for _, l := range w.img.layers {
		for _, f := range l.files {
			if f.Size != format.SizeUnknown {
				continue
			}
			if err := c.open(f.Path, true); err != nil {
				return err
			}
			st, err := c.file.Stat()
			_ = c.file.Close() // nothing was written
			if err != nil {
				return err
			}
			f.Size = st.Size
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}
