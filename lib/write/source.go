package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/interrupt"
	"chunkah/lib/oci"
	"chunkah/lib/rootfs"
)

// Source is what a stream speaks of.
type Source struct {
	// Root is where contents are read from; nil where the stream does not say.
	Root *rootfs.Root
	// Config is that of the image that the contents are from; nil for none.
	Config *oci.Config
	// Kept are the layers below those of the stream, from the bottom up.
	Kept []Kept
	// Closer closes what the source is made of; nil where that is the root alone.
	Closer io.Closer
}

// Kept is a layer of the source that stays as it is, byte for byte.
type Kept struct {
	oci.Layer
	// Image is that in a registry which has the blob; empty for none.
	Image string
	// Open reads its blob.
	Open func(context.Context) (io.ReadCloser, error)
}

// Close closes the root, and what it is made of.
func (s *Source) Close() error {
	switch {
	case s.Closer != nil:
		return s.Closer.Close()
	case s.Root != nil:
		return s.Root.Close()
	}
	return nil
}

// check makes sure that the stream is one of what differs from the kept layers,
// and of nothing where there are none; and that there is something in a directory,
// for one that is empty is where a mount is missing.
func (s *Source) check(img *image) error {
	if n := img.header.KeepLayers; n != int64(len(s.Kept)) {
		return fmt.Errorf("the stream keeps %d layers of its source, and %d are there", n, len(s.Kept))
	}
	if n := len(s.Kept) + len(img.layers); n > MaxLayers {
		return fmt.Errorf("%d layers on top of the %d that are kept: %d at most in all: lower --max of chunkah-pack", len(img.layers), len(s.Kept), MaxLayers)
	}
	if len(s.Kept) > 0 {
		return nil
	}
	if s.Root != nil && s.Config == nil && img.empty() {
		return fmt.Errorf("%q is empty, or all in it is left out: mount or copy there what the image is to hold", s.Root.Path())
	}
	for _, l := range img.layers {
		for _, f := range l.files {
			if f.Type == format.TypeWhiteout {
				return fmt.Errorf("layer %d: %q is a whiteout, and there are no layers below", l.record.Index, f.Path)
			}
		}
	}
	return nil
}

// open opens what a header says.
func (o *Options) open(ctx context.Context, h *format.Header) (*Source, error) {
	if o.Open != nil {
		return o.Open(ctx, h)
	}
	switch {
	case len(h.Sources) > 0:
		return nil, errors.New("the stream has sources, which only a root can stand in for here")
	case h.Root == "":
		return &Source{}, nil
	}
	root, err := rootfs.Open(h.Root)
	return &Source{Root: root}, err
}

// config makes the image's config. What it says of other layers is left out, or reported
// where somebody has written it for this image.
func (o *Options) config(s *Source, report *Report) (*oci.Config, error) {
	config := o.Config
	if config == nil {
		config = s.Config
	}
	if config == nil {
		config = &oci.Config{}
	}
	own := *config
	var kept []digest.Digest
	for _, k := range s.Kept {
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

// layer is what the manifest says of a kept layer: the blob is as it was, but OCI's
// manifests have OCI's media types, and clients refuse others in them.
func (k Kept) layer() oci.Layer {
	l := k.Layer
	if suffix, ok := strings.CutPrefix(l.Descriptor.MediaType, oci.MediaTypeDockerLayer); ok {
		l.Descriptor.MediaType = v1.MediaTypeImageLayer + strings.Replace(suffix, ".", "+", 1)
	}
	return l
}

// keep writes the blobs of the layers that stay.
func (w *writer) keep(ctx context.Context) error {
	for i, k := range w.kept {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := w.dest.Blob(k.Descriptor, k.Image, func(out io.Writer) error { return copyBlob(ctx, out, k) })
		if err != nil {
			return fmt.Errorf("keeping layer %d, %s: %w", i, k.Descriptor.Digest, err)
		}
	}
	return nil
}

// copyBlob copies a blob that comes from elsewhere, and is what its digest says.
func copyBlob(ctx context.Context, out io.Writer, k Kept) error {
	in, err := openBlob(ctx, k)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(out, in)
	return err
}

// foreignBlob reads a blob that comes from elsewhere. Its end is an error where it is not
// what its digest says. The first error stays.
type foreignBlob struct {
	io.Closer
	in       io.Reader
	size     int64 // that it has to have
	read     int64
	verifier digest.Verifier
	err      error
}

func openBlob(ctx context.Context, k Kept) (*foreignBlob, error) {
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
		_, _ = b.verifier.Write(p[:n]) // a hash: it never fails
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

// check looks at the blob at its end.
func (b *foreignBlob) check() error {
	switch {
	case b.read != b.size:
		return fmt.Errorf("it has %d bytes, not %d", b.read, b.size)
	case !b.verifier.Verified():
		return errors.New("it is not what its digest says")
	}
	return io.EOF
}
