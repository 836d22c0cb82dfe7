// Package write turns a packed stream into an image: layers into tars and blobs,
// and those with config, manifest and index into a destination of package oci.
//
// The bytes depend on the stream, the contents and the options alone; the number
// of threads only decides how soon they are there. Layers that are not compressed
// are read twice: once on all cores for their digests, once on their way into the
// output, with proof that both reads were the same; so nothing is stored in
// between.
package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"chunkah/format"
	"chunkah/lib/cache"
	"chunkah/lib/compress"
	"chunkah/lib/oci"
	"chunkah/lib/rootfs"
)

// Options say what image to write and where.
type Options struct {
	// Root is where contents are read from; nil is what the stream's header says.
	Root *rootfs.Root
	// Scanned says that the records come from a scan of Root in this very run. What
	// they call a file is then not looked at once more before it is opened: in a
	// tree that holds still it is one, and nothing else is ever read.
	Scanned bool
	// Create makes the destination, once the stream is known to be whole.
	Create func(oci.Options) (oci.Destination, error)
	// Config is the image's config; nil is an empty one. Without an architecture it
	// is for the one that this program runs on.
	Config *oci.Config
	// Ref names the image in the destination; empty for no name.
	Ref string
	// Compression of the layers; the zero value is none.
	Compression compress.Settings
	// Threads bounds the layers and blocks worked on at once; 0 is one a core.
	Threads int
	// SpoolDir is where compressed layers wait for their turn in an archive, in
	// files without a name; empty is the system's folder for such.
	SpoolDir string
	// Cache keeps compressed layers from one build to the next; nil for none.
	Cache *cache.Cache
	// OutputNames are further names, without directories, of the output in the
	// root: those of its directory entries that the destination cannot know.
	OutputNames []string
}

func (o Options) withDefaults() (Options, error) {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Compression.Algorithm == "" {
		o.Compression.Algorithm = compress.None
	}
	if o.Config == nil {
		o.Config = &oci.Config{}
	}
	if o.Config.Platform.Architecture == "" {
		config := *o.Config
		if err := config.SetArch(oci.HostArch()); err != nil {
			return o, err
		}
		o.Config = &config
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
	Created    time.Time
	// CreatedFrom says where the image's time comes from.
	CreatedFrom string
	// Reused counts the layers whose blobs came from the cache, ReusedBytes them.
	Reused      int
	ReusedBytes int64
	// CacheFault is why the cache could not be kept within its size.
	CacheFault error
	// LeftOut are the paths that were the output itself.
	LeftOut []string
	// Duplicates counts layers that were equal to one before and left out.
	Duplicates int
}

// Run reads a packed stream and writes the image.
func Run(ctx context.Context, in format.Source, opt Options) (report *Report, err error) {
	if opt, err = opt.withDefaults(); err != nil {
		return nil, err
	}
	img, err := read(ctx, in)
	if err != nil {
		return nil, err
	}
	root := opt.Root
	if root == nil && img.header.Root != "" {
		if root, err = rootfs.Open(img.header.Root); err != nil {
			return nil, err
		}
		defer root.Close()
	}
	// A proof that both reads were the same stands in for a second hash.
	dest, err := opt.Create(oci.Options{Unhashed: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dest.Abort())
		}
	}()
	w := &writer{opt: opt, root: root, img: img, dest: dest, report: &Report{}}
	if err := w.write(ctx); err != nil {
		return nil, w.allUnreadable(ctx, err)
	}
	if opt.Cache != nil {
		// The image is there: what the cache keeps is a matter of its own.
		_, w.report.CacheFault = opt.Cache.Trim()
	}
	return w.report, nil
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
	img    *image
	dest   oci.Destination
	report *Report
	// slots, by layer, are places in the output; nil where it has none to give.
	slots []*oci.Slot
	// warm is set where the cache had something before.
	warm bool
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
