package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/interrupt"
	"chunkah/lib/metrics"
	"chunkah/lib/oci"
	"chunkah/lib/registry"
)

// Options control how a source is read. The zero value is sufficient for local images.
type Options struct {
	// Platform selects one of several images, for example linux/arm64/v8. If it is empty, this
	// machine's platform is used, and a single image is accepted whatever its platform.
	Platform string
	// Like is used instead of this machine's platform if Platform is empty. It can be nil.
	Like *v1.Platform
	// Registry returns the options of a registry client. It can be nil.
	Registry func() (registry.Options, error)
	// Direct reads an image from the registry and repository to which a push with this name writes.
	// If Direct is not set, registries.conf can define mirrors and another location.
	Direct bool
	// Spool is the directory for the contents of an archive that is compressed or comes from a
	// pipe, because such archives do not allow random access. Empty means TMPDIR, or else /var/tmp.
	Spool string
	// Again is set if another process has already read this image. An archive must then be a file,
	// because a pipe cannot be read twice, and opening a pipe could block forever.
	Again bool
	// MaxBytes is the largest size of such an archive. 0 means 256 GiB.
	MaxBytes int64
	// Work counts the bytes of such an archive. The caller can also pass it to Flatten. It can be
	// nil.
	Work *metrics.Work
}

func (o Options) maxBytes() int64 { return FlattenOptions{MaxBytes: o.MaxBytes}.maxBytes() }

// Image is one image for one platform. Its manifest and config are verified. Its layers are
// verified when they are read.
type Image struct {
	Source Location
	// Manifest and Config are the original documents. A docker archive contains no manifest, so it
	// gets the manifest that it would have in a registry.
	Manifest, Config oci.Document
	// Annotations are the manifest's annotations.
	Annotations map[string]string
	Platform    v1.Platform
	Created     *time.Time // nil if unknown
	Layers      []Layer    // from the bottom up

	fetch Fetcher
	// rootTar is set if the only layer is a tar of a root file system. Such a tar has no digest.
	rootTar bool
}

// Layer is one layer of an image.
type Layer struct {
	Descriptor v1.Descriptor
	DiffID     digest.Digest
	History    v1.History // empty if no history entry could be matched to the layer
}

// Open finds the image that a source refers to. Close it after closing all trees that use it.
func Open(ctx context.Context, src Location, opt Options) (*Image, error) {
	fetch, err := OpenFetcher(ctx, src, opt)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", src, err)
	}
	img := &Image{Source: src, fetch: fetch}
	if err := img.load(ctx, opt); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %q: %w", src, err), img.Close())
	}
	return img, nil
}

// OpenFetcher opens the store of a source, whatever it contains.
func OpenFetcher(ctx context.Context, src Location, opt Options) (Fetcher, error) {
	if !src.IsImage() {
		return nil, errors.New("is a directory, not an image")
	}
	return src.Open(ctx, src, opt)
}

// OpenLayout opens an OCI layout in a directory.
func OpenLayout(_ context.Context, src Location, _ Options) (Fetcher, error) {
	if _, err := os.Stat(src.Path); err != nil {
		return nil, err // this error is clearer than the error for a missing file in the layout
	}
	return layout{folder(src.Path)}, nil
}

// OpenArchive opens an OCI archive.
func OpenArchive(ctx context.Context, src Location, opt Options) (Fetcher, error) {
	a, err := openArchive(ctx, src.Path, opt)
	if err != nil {
		return nil, err
	}
	return layout{a}, nil
}

// OpenDockerArchive opens a docker save archive.
func OpenDockerArchive(ctx context.Context, src Location, opt Options) (Fetcher, error) {
	a, err := openArchive(ctx, src.Path, opt)
	if err != nil {
		return nil, err
	}
	return &dockerArchive{files: a}, nil
}

// ReadDockerArchive reads a docker save archive from a stream and spools it. Messages use name to
// refer to it.
func ReadDockerArchive(ctx context.Context, name string, in io.Reader, opt Options) (Fetcher, error) {
	spool, err := spoolAll(interrupt.Reader(ctx, opt.Work.Reader(in)), opt)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	a, err := (&archive{in: spool, path: name, items: make(map[string]item)}).indexed(ctx)
	if err != nil {
		return nil, err
	}
	return &dockerArchive{files: a}, nil
}

// Assemble makes an image from layers in a store. The caller must close the store.
func Assemble(src Location, fetch Fetcher, layers []Layer) *Image {
	return &Image{Source: src, Layers: layers, fetch: fetch}
}

// Close closes the store of the image.
func (img *Image) Close() error { return img.fetch.Close() }

// Blob opens a blob of the image in its stored form. The caller verifies digest and size.
func (img *Image) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return img.fetch.Blob(ctx, d)
}

// Pinned returns the source with the image's digest, so that another process opens the same image
// even if its name changes. The digest is the manifest's digest, or the config's digest in a docker
// archive. A store with its own IDs implements a method Ref instead.
func (img *Image) Pinned() string {
	src := img.Source
	if store, ok := img.fetch.(Named); ok {
		src.Ref = store.Ref()
		return src.String()
	}
	d := img.Manifest.Descriptor.Digest
	if img.Source.ByConfig {
		d = img.Config.Descriptor.Digest
	}
	return src.Pinned(d).Absolute().String()
}

// Digest returns the digest that identifies the image to users of the store. This is the digest of
// the manifest, unless a store that keeps layers in another form implements a method Digest.
func (img *Image) Digest() digest.Digest {
	if store, ok := img.fetch.(Digested); ok && store.Digest() != "" {
		return store.Digest()
	}
	return img.Manifest.Descriptor.Digest
}

// load finds the manifest and reads the documents of the image.
func (img *Image) load(ctx context.Context, opt Options) error {
	want, err := opt.platform()
	if err != nil {
		return err
	}
	c := &chooser{fetch: img.fetch, want: want}
	if img.Manifest, err = c.manifest(ctx, img.Source); err != nil {
		return err
	}
	if err := img.loadParts(ctx, c, opt); err != nil {
		return &PartError{err}
	}
	return nil
}

// PartError means that the image was found, but a part of it cannot be read.
type PartError struct{ err error }

func (e *PartError) Error() string { return e.err.Error() }
func (e *PartError) Unwrap() error { return e.err }

// loadParts reads the config and layers that the manifest lists.
func (img *Image) loadParts(ctx context.Context, c *chooser, opt Options) error {
	m, err := parseManifest(img.Manifest.Data)
	if err != nil {
		return err
	}
	img.Annotations = m.Annotations
	img.Config.Descriptor = m.Config
	if img.Config.Data, err = c.read(ctx, m.Config); err != nil {
		return fmt.Errorf("reading config %q: %w", m.Config.Digest, err)
	}
	if err := parseConfig(img.Config.Data, img, m.Layers); err != nil {
		return err
	}
	have := img.Platform
	if have.Variant == "" {
		have.Variant = c.want.variant // many configs leave the variant to the index
	}
	if opt.Platform != "" && c.want.rank(have) == 0 {
		return fmt.Errorf("is for %s, not for %s", PlatformName(img.Platform), opt.Platform)
	}
	return nil
}
