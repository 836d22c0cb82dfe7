package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"chunkah/format"
	"chunkah/lib/interrupt"
	"chunkah/lib/oci"
	"chunkah/lib/regular"
	"chunkah/lib/rootfs"
)

// Inputs is the opened source that the stream describes. Run reads it in addition to the stream.
type Inputs struct {
	// Root is the tree from which contents are read. It is nil if the stream names no root.
	Root *rootfs.Root
	// Config is the config of the source image. It is nil if the source is not an image with a
	// config.
	Config *oci.Config
	// Base lists the layers of the source image that are kept below the stream's layers, from the
	// bottom up (--keep-base).
	Base []StoredLayer
	// Closer closes the source. It is nil if nothing except the root must be closed.
	Closer io.Closer
}

// StoredLayer is a layer of another image, whose blob can be copied byte for byte.
type StoredLayer struct {
	oci.Layer
	// Image is the name of an image in a registry that already stores the blob. It is empty if no
	// such image is known.
	Image string
	// Verified describes the file of the blob if this run has read the file and its digest is the
	// blob's digest. It is nil otherwise.
	Verified fs.FileInfo
	// Open opens the layer's blob.
	Open func(context.Context) (io.ReadCloser, error)
}

// Close closes the root and the source behind it.
func (in *Inputs) Close() error {
	switch {
	case in.Closer != nil:
		return in.Closer.Close()
	case in.Root != nil:
		return in.Root.Close()
	}
	return nil
}

// check makes sure that the stream matches the kept layers, and that the stream contains no
// whiteouts if no layers are kept. A root that is an empty directory is an error, because a mount
// is probably missing.
func (in *Inputs) check(img *image) error {
	if n := img.header.KeepLayers; n != int64(len(in.Base)) {
		return fmt.Errorf("the stream keeps %d layers of its source, but the source has only %d", n, len(in.Base))
	}
	if n := len(in.Base) + len(img.kept) + len(img.layers); n > maxLayers {
		return fmt.Errorf("%d layers on top of %d kept layers exceed the limit of %d: lower --max of chunkah-pack", len(img.layers), len(in.Base), maxLayers)
	}
	if len(in.Base)+len(img.kept) > 0 {
		return nil
	}
	if in.Root != nil && in.Config == nil && img.empty() {
		return fmt.Errorf("%q is empty, or all its contents are excluded: mount the root there, or copy the root to this directory", in.Root.Path())
	}
	for _, l := range img.layers {
		for _, f := range l.files {
			if f.Type == format.TypeWhiteout {
				return fmt.Errorf("layer %d: %q is a whiteout, but there are no layers below", l.record.Index, f.Path)
			}
		}
	}
	return nil
}

// open opens the source that a header describes.
func (o *Options) open(ctx context.Context, h *format.Header) (*Inputs, error) {
	if o.Open != nil {
		return o.Open(ctx, h)
	}
	switch {
	case len(h.Sources) > 0:
		return nil, errors.New("the stream lists sources, but only a root directory is supported here")
	case h.Root == "":
		return &Inputs{}, nil
	}
	root, err := rootfs.Open(h.Root)
	return &Inputs{Root: root}, err
}

// config returns the image's config. Labels that describe other layers are dropped, or reported if
// the config was given for this image.
func (o *Options) config(in *Inputs, report *Report) (*oci.Config, error) {
	config := o.Config
	if config == nil {
		config = in.Config
	}
	if config == nil {
		config = &oci.Config{}
	}
	own := *config
	var kept []digest.Digest
	for _, k := range in.Base {
		kept = append(kept, k.DiffID)
	}
	if own.OfImage {
		report.Dropped = own.AboutLayers(o.KeepLabels, kept)
		own.Drop(report.Dropped)
	}
	if o.Edit != nil {
		if err := o.Edit(&own); err != nil {
			return nil, err
		}
	}
	if !own.OfImage {
		report.Stale = own.AboutLayers(o.KeepLabels, kept)
	}
	if own.Platform.Architecture == "" {
		if err := own.SetArch(oci.HostArch()); err != nil {
			return nil, err
		}
	}
	if err := own.Check(); err != nil {
		return nil, fmt.Errorf("reading the image's config: %w", err)
	}
	return &own, nil
}

// layer returns the manifest's description of a kept layer. The blob is unchanged, but the media
// type is replaced with the OCI media type, because clients refuse other media types in an OCI
// manifest.
func (k StoredLayer) layer() oci.Layer {
	l := k.Layer
	if suffix, ok := strings.CutPrefix(l.Descriptor.MediaType, oci.MediaTypeDockerLayer); ok {
		l.Descriptor.MediaType = v1.MediaTypeImageLayer + strings.Replace(suffix, ".", "+", 1)
	}
	return l
}

// copied returns the layers that are copied from other images. They are below the new layers.
func (w *writer) copied() []StoredLayer { return slices.Concat(w.base, w.kept) }

// writeKept writes the blobs of the kept layers. A layout hashes each blob that it already
// contains, which takes most of the time of an update with few changes.
func (w *writer) writeKept(ctx context.Context) error {
	atOnce := w.dest.Traits().Parallel
	if w.access == oci.BlobFiles {
		atOnce = w.opt.Threads
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, atOnce))
	for i, k := range w.copied() {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			kept := &sending{work: w.opt.Work, size: k.Descriptor.Size, worth: k.Descriptor.Size}
			hint := oci.Hint{Image: k.Image, DiffID: k.DiffID, Verified: k.Verified}
			err := w.dest.Blob(k.Descriptor, hint, func(out io.Writer) error { return w.copyBlob(ctx, kept.to(out), k) })
			if err != nil {
				return fmt.Errorf("keeping layer %d, %s: %w", i, k.Descriptor.Digest, err)
			}
			kept.count(k.Descriptor.Size) // even if the destination already had the blob
			return nil
		})
	}
	return group.Wait()
}

// copyBlob copies a blob from another image. The digest is checked here, or by an output that
// hashes all bytes it receives. If this run has already hashed the blob's file, copyBlob checks
// instead that the file has not changed since then.
func (w *writer) copyBlob(ctx context.Context, out io.Writer, k StoredLayer) error {
	in, err := openBlob(ctx, k)
	if err != nil {
		return err
	}
	defer in.Close()
	verified := in.isStill(k.Verified)
	switch {
	case verified:
		in.verifier = nil
	case k.Verified != nil: // oci.Hint tells the output not to hash the blob
	case w.access == oci.RandomAccess || w.access == oci.BlobFiles || w.access == oci.Stacked:
		in.verifier = nil
	}
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	if _, err = io.CopyBuffer(out, in, buf[:]); err == nil && verified && !in.isStill(k.Verified) {
		err = errBlobChanged
	}
	return err
}

// errBlobChanged means that a blob of the previous image changed while it was copied.
var errBlobChanged = errors.New("the blob changed during the build: do not write to the previous image at the same time")

// isStill reports whether the blob is read from the verified file, and the file has not changed
// since it was verified.
func (b *foreignBlob) isStill(verified fs.FileInfo) bool {
	f, ok := b.Closer.(interface{ Stat() (fs.FileInfo, error) })
	if !ok || verified == nil {
		return false
	}
	now, err := f.Stat()
	return err == nil && regular.Unchanged(verified, now)
}

// foreignBlob reads a blob from another image. At the end it returns an error if the digest or size
// is wrong. After an error, all reads return the same error.
type foreignBlob struct {
	io.Closer
	in       io.Reader
	size     int64 // the expected size
	read     int64
	verifier digest.Verifier // nil if the digest is checked elsewhere
	err      error
}

func openBlob(ctx context.Context, k StoredLayer) (*foreignBlob, error) {
	in, err := k.Open(ctx)
	if err != nil {
		return nil, err
	}
	d := k.Descriptor
	return &foreignBlob{Closer: in, in: interrupt.Reader(ctx, in), size: d.Size, verifier: d.Digest.Verifier()}, nil
}

func (b *foreignBlob) Read(p []byte) (n int, err error) {
	if b.err == nil && b.read < b.size {
		n, b.err = b.in.Read(p[:min(int64(len(p)), b.size-b.read)])
		b.read += int64(n)
		if b.verifier != nil {
			_, _ = b.verifier.Write(p[:n]) // writing to a hash never fails
		}
	}
	switch {
	case b.err == nil && b.read == b.size:
		b.err = io.EOF
		fallthrough
	case b.err == io.EOF:
		b.err = b.check()
	}
	return n, b.err
}

// check checks the blob at its end.
func (b *foreignBlob) check() error {
	switch {
	case b.read != b.size:
		return fmt.Errorf("is %d bytes, expected %d", b.read, b.size)
	case b.verifier != nil && !b.verifier.Verified():
		return errors.New("content does not match its digest")
	}
	return io.EOF
}
