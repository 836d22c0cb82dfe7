// Package write turns a packed stream into an image. It makes tars and blobs of the layers, and
// writes them, the config, manifest and index to a destination of package oci.
//
// The bytes depend only on the stream, the contents and the options, not on the number of threads.
// Layers that are not compressed are read twice if the output is a pipe, a registry or
// containers-storage: once on all cores for their digests, and once to write them, with the same
// digests. So nothing is stored in between.
package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
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

// Options say what image to write and where.
type Options struct {
	// Source is where contents are read from; if nil, the one in the stream's header.
	Source *Source
	// Open opens the source in a header; if nil, it must be a directory. Run closes the result.
	Open func(ctx context.Context, h *format.Header) (*Source, error)
	// OpenPrevious opens the image in a header's Previous. It returns its layers by diffID. If
	// it is nil, no layers of a previous image can be kept.
	OpenPrevious func(ctx context.Context, name string) (map[digest.Digest]Kept, io.Closer, error)
	// Scanned says that this run has scanned Source. Then regular files are opened without another
	// check: nothing else is read while the tree does not change.
	Scanned bool
	// Small has contents of small files that were read before in this run; it can be nil.
	Small *SmallFiles
	// Create creates the destination, once the stream is known to be complete.
	Create func() (oci.Destination, error)
	// Also are more names of the image, besides Ref.
	Also []string
	// Config is the image's config; nil means the source's, or an empty one. Without an
	// architecture, it gets that of this program.
	Config *oci.Config
	// KeepLabels are labels and annotations that stay although they describe the layers of the
	// source image.
	KeepLabels []string
	// Created is the time of the config, whatever the source date or the config say; nil for none.
	Created *time.Time
	// Docker requests a manifest in Docker's format instead of OCI's.
	Docker bool
	// Edit changes the config, a copy of its own; nil leaves it as it is.
	Edit func(*oci.Config) error
	// Ref is the image's name in the destination; empty for no name.
	Ref string
	// Compression applies to the layers; the zero value means no compression.
	Compression compress.Settings
	// Chunked requests zstd:chunked for layers compressed with zstd, except layers whose files
	// would differ for a client that fetches chunks.
	Chunked bool
	// Threads bounds how many layers and blocks are processed in parallel; 0 means the number of
	// cores.
	Threads int
	// SpoolDir is the directory for unnamed files with compressed layers that cannot be written
	// yet. Empty means TMPDIR, or else /var/tmp.
	SpoolDir string
	// Cache keeps compressed layers from one build to the next; nil for none.
	Cache *cache.Cache
	// Previous are layers of an image that can be reused if they have the same diffID and
	// Compression. The image's claims are not trusted: each layer is read and decompressed first.
	Previous map[digest.Digest]Kept
	// Proofs are blobs that this user has seen decompress to layers; nil for none. This run adds
	// its own.
	Proofs *proofs.Proofs
	// OutputNames are additional names, without directories, that the output can have in the root
	// without the destination knowing them.
	OutputNames []string
	// Own are files and directories besides the output that no image may contain, such as a cache
	// in the root.
	Own []os.FileInfo
	// Work counts the expected and finished bytes of tars, and of blobs sent to a registry; nil
	// counts nothing.
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
	Files      int64 // without directories
	Bytes      int64 // of the layers' tars
	BlobBytes  int64 // of the layers' blobs
	Manifest   string
	// Config is the digest of the config, and Blobs are all layers from the bottom up, with those
	// that are kept.
	Config digest.Digest
	Blobs  []oci.Layer
	// In has, for each component, the digests of its layers, from the bottom up.
	In      map[string][]digest.Digest
	Created time.Time
	// CreatedFrom says where the image's time comes from.
	CreatedFrom string
	// Reused is the number of layers with blobs from the cache or the previous image, ReusedBytes
	// their size.
	Reused      int
	ReusedBytes int64
	// Dropped are labels and annotations about layers that were removed. Stale are those of a given
	// config, which the image has.
	Dropped, Stale []string
	// Unmarked has the layers that are not zstd:chunked although this was requested.
	Unmarked []Unmarked
	// Refused has the reasons why blobs of the previous image were not taken.
	Refused []error
	// CacheFault is why the cache could not be trimmed to its size.
	CacheFault error
	// ProofsFault is why the proofs could not be saved.
	ProofsFault error
	// PlanLacks says what the plan in the history lacks because it would be too large; empty for
	// nothing.
	PlanLacks string
	// LeftOut are the paths of the output itself.
	LeftOut []string
	// Kept is the number of kept layers of the source, KeptPrevious that of the previous image.
	Kept, KeptPrevious int
	// WriteFiles writes the files of the image (format/SPEC.md, section 13); nil if the stream
	// has not all of them.
	WriteFiles func(io.Writer) error
	// Duplicates is the number of layers that were left out because they were equal to an earlier
	// one.
	Duplicates int
}

// Unmarked is a layer that is not zstd:chunked.
type Unmarked struct {
	Reason string // completes "it has"
	Path   string // the first with that reason
}

// Pending is a finished image that is not visible yet: commit or discard it.
type Pending struct {
	Report *Report
	// Config is the image's config. It has no annotations if the manifest has none.
	Config *oci.Config
	// At is where the image can be read until Commit, in each destination, if they were created so.
	At []oci.Location

	w *writer
}

// Commit makes the image appear. After an error it is discarded.
func (p *Pending) Commit() error {
	if err := p.w.dest.Commit(); err != nil {
		return err
	}
	p.w.converted()
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
	source := opt.Source
	if source == nil {
		if source, err = opt.open(ctx, &img.header); err != nil {
			return nil, err
		}
		defer source.Close()
	}
	report := &Report{}
	config, err := opt.config(source, report)
	if err != nil {
		return nil, err
	}
	if err := source.check(img); err != nil {
		return nil, err
	}
	kept, previous, err := opt.keptPrevious(ctx, img)
	if err != nil {
		return nil, err
	}
	defer previous.Close() // it was only read
	dest, err := opt.Create()
	if err != nil {
		return nil, err
	}
	w := &writer{
		opt: opt, root: source.Root, kept: slices.Concat(source.Kept, kept), config: config, img: img, report: report,
		dest: dest, access: dest.Traits().Access,
	}
	if err := w.write(ctx); err != nil {
		return nil, errors.Join(w.allUnreadable(ctx, err), dest.Discard())
	}
	given := *config
	given.Created = &report.Created
	if w.converted() || opt.Docker {
		given.Annotations = nil
	}
	at := []oci.Location{w.at}
	if several, ok := dest.(*oci.Several); ok {
		at = several.Locations()
	}
	return &Pending{Report: report, Config: &given, At: at, w: w}, nil
}

// converted reports whether the destination has written another manifest, which the report then
// describes.
func (w *writer) converted() bool {
	dest, ok := w.dest.(oci.Converter)
	if !ok {
		return false
	}
	d := dest.Converted()
	if d != nil {
		w.report.Manifest = d.Digest.String()
	}
	return d != nil
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
	return w.run(ctx)
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
			if len(img.layers)+len(img.kept) == MaxLayers {
				return nil, fmt.Errorf("the stream has more than %d layers", MaxLayers)
			}
			if rec.DiffID == "" {
				img.layers = append(img.layers, layerFiles{record: rec})
				break
			}
			if len(img.layers) > 0 {
				return nil, fmt.Errorf("layer %d is a kept layer above new layers: kept layers must come first", rec.Index)
			}
			img.kept = append(img.kept, layerFiles{record: rec})
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
	kept   []Kept
	config *oci.Config
	img    *image
	dest   oci.Destination
	access oci.Access // of dest
	at     oci.Location
	report *Report
	// entries are the reserved places of the layers in an archive; nil if there are none.
	entries []oci.BlobWriter
	// warm is set if the cache was not empty.
	warm bool
	mu   sync.Mutex // for Report.Refused
}

// resolveSizes reads sizes from the source if the stream has none.
func (w *writer) resolveSizes(ctx context.Context) error {
	c := w.newContents()
	defer c.close()
	for _, l := range w.img.layers {
		for _, f := range l.files {
			if f.Size != format.SizeUnknown {
				continue
			}
			in, err := c.open(f.Path)
			if err != nil {
				return err
			}
			st, err := in.Stat()
			_ = in.Close() // nothing was written
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
