// Package write turns a packed stream into an image: layers into tars and blobs, and those with
// config, manifest and index into a destination of package oci.
//
// The bytes depend on the stream, the contents and the options alone; the number of threads only
// decides how soon they are there. Layers that are not compressed are read twice: once on all cores
// for their digests, once on their way into the output, where they have to have the same digests;
// so nothing is stored in between.
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

// Options say what image to write and where.
type Options struct {
	// Source is where contents are read from; nil is what the stream's header says.
	Source *Source
	// Open opens what a header says; nil knows roots alone. What it returns is closed in the end.
	Open func(ctx context.Context, h *format.Header) (*Source, error)
	// Scanned says that the records come from a scan of Source in this very run. What they call a
	// file is then not looked at once more before it is opened: in a tree that holds still it is
	// one, and nothing else is ever read.
	Scanned bool
	// Create makes the destination, once the stream is known to be whole.
	Create func() (oci.Destination, error)
	// Also are further names of the image, beside Ref.
	Also []string
	// Config is the image's config; nil is the source's, or an empty one. Without an architecture
	// it is for the one that this program runs on.
	Config *oci.Config
	// KeepLabels are labels and annotations that stay although they speak of the layers of the
	// image that the config is from.
	KeepLabels []string
	// Created is the time of the config, whatever the source date or the config say; nil for none.
	Created *time.Time
	// Docker makes a manifest of Docker's in place of one of OCI's.
	Docker bool
	// Edit changes the config, a copy of its own; nil leaves it as it is.
	Edit func(*oci.Config) error
	// Ref names the image in the destination; empty for no name.
	Ref string
	// Compression of the layers; the zero value is none.
	Compression compress.Settings
	// Threads bounds the layers and blocks worked on at once; 0 is one a core.
	Threads int
	// SpoolDir is the folder for compressed layers that cannot be written yet, in files without a
	// name; empty is TMPDIR, or else /var/tmp.
	SpoolDir string
	// Cache keeps compressed layers from one build to the next; nil for none.
	Cache *cache.Cache
	// Previous are layers of an image that may be taken as they are where their tar comes out the
	// same: by diffID, those compressed as Compression says. What the image says of them is not
	// believed: each is read and decompressed first.
	Previous map[digest.Digest]Kept
	// Proofs are of blobs that this user has seen decompress to layers; nil for none. What this run
	// sees is added.
	Proofs *proofs.Proofs
	// OutputNames are further names, without directories, of the output in the
	// root: those of its directory entries that the destination cannot know.
	OutputNames []string
	// Own are files and folders beside the output that no image is to hold, such as a cache in the
	// root.
	Own []os.FileInfo
	// Work counts the bytes of tars that are to be made and that are made, and of blobs that go to
	// a registry; nil for nobody to look at.
	Work *metrics.Work
}

func (o Options) withDefaults() (Options, error) {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Compression.Algorithm == "" {
		o.Compression.Algorithm = compress.None
	}
	return o, o.Compression.Validate()
}

// Report says what was written.
type Report struct {
	Layers     int
	Components int
	Files      int64 // without directories
	Bytes      int64 // of the layers' tars
	BlobBytes  int64 // of the layers' blobs
	Manifest   string
	// In are the digests of the layers that each component is in, from the bottom up.
	In      map[string][]digest.Digest
	Created time.Time
	// CreatedFrom says where the image's time comes from.
	CreatedFrom string
	// Reused counts the layers whose blobs came from the cache or the previous image, ReusedBytes
	// them.
	Reused      int
	ReusedBytes int64
	// Dropped are labels and annotations of the source that speak of its layers, Stale those of a
	// config that was given, which are in the image.
	Dropped, Stale []string
	// Refused is why blobs of the previous image were not taken.
	Refused []error
	// CacheFault is why the cache could not be kept within its size.
	CacheFault error
	// ProofsFault is why what was seen of blobs could not be written down.
	ProofsFault error
	// LeftOut are the paths that were the output itself.
	LeftOut []string
	// Kept counts the layers of the source below those.
	Kept int
	// Duplicates counts layers that were equal to one before and left out.
	Duplicates int
}

// Pending is an image that is complete and that nobody sees yet: commit or discard it.
type Pending struct {
	Report *Report
	// Config is the one that the image was given.
	Config *oci.Config
	// At is where the image can be read until Commit, if the destination was created so.
	At oci.Location

	w *writer
}

// Commit makes the image appear. After an error it is discarded.
func (p *Pending) Commit() error {
	if err := p.w.dest.Commit(); err != nil {
		return err
	}
	p.Report.ProofsFault = p.w.opt.Proofs.Save()
	if cache := p.w.opt.Cache; cache != nil {
		// The image is there: the cache is another matter.
		_, p.Report.CacheFault = cache.Trim()
	}
	return nil
}

// Discard removes what was written. After Commit it does nothing.
func (p *Pending) Discard() error { return p.w.dest.Discard() }

// Run reads a packed stream and writes the image, which appears with Commit.
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
	dest, err := opt.Create()
	if err != nil {
		return nil, err
	}
	w := &writer{
		opt: opt, root: source.Root, kept: source.Kept, config: config, img: img, report: report,
		dest: dest, access: dest.Traits().Access,
	}
	if err := w.write(ctx); err != nil {
		return nil, errors.Join(w.allUnreadable(ctx, err), dest.Discard())
	}
	given := *config
	given.Created = &report.Created
	return &Pending{Report: report, Config: &given, At: w.at, w: w}, nil
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

// read takes in a packed stream and checks it.
func read(ctx context.Context, in format.Source) (*image, error) {
	img := &image{}
	for {
		rec, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch rec := rec.(type) {
		case *format.Header:
			if rec.Stage != format.StagePack && rec.Stage != "" {
				return nil, fmt.Errorf("the stream comes from %s: put chunkah-pack in front", rec.Stage)
			}
			img.header = *rec
		case *format.Layer:
			if len(img.layers) == MaxLayers {
				return nil, fmt.Errorf("the stream has more than %d layers", MaxLayers)
			}
			img.layers = append(img.layers, layerFiles{record: rec})
		case *format.File:
			if len(img.layers) == 0 {
				return nil, fmt.Errorf("file %q is in no layer: put chunkah-pack in front", rec.Path)
			}
			l := &img.layers[len(img.layers)-1]
			l.files = append(l.files, rec)
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
	return img, img.check()
}

// writer is one image on its way out.
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
	// entries are the places of the layers in an archive; nil where it has not set any aside.
	entries []oci.BlobWriter
	// warm is set where the cache had something before.
	warm bool
	mu   sync.Mutex // of Report.Refused
}

// resolveSizes asks the source where the stream does not say a file's size.
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
