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
	"chunkah/lib/oci"
	"chunkah/lib/registry"
)

// Options say what is taken from a source. The zero value is enough for local
// images.
type Options struct {
	// Platform is the one that is wanted of several, as linux/arm64/v8. Empty means
	// this machine's, and takes an image of one platform whatever it is.
	Platform string
	// Like is the platform to take of several where Platform is empty, in place of
	// this machine's; nil for none.
	Like *v1.Platform
	// Registry are the options of a registry client; nil for none.
	Registry func() (registry.Options, error)
	// Spool is the folder for an archive that cannot be read at any place: from a
	// pipe, or compressed. Empty means TMPDIR, or else /var/tmp.
	Spool string
	// Again says that another process has read the image and this one is to see the
	// same: an archive has to be a file then, since a pipe gives its bytes once, and
	// whoever names one may have this process wait for ever.
	Again bool
	// MaxBytes bounds such an archive; 0 means 256 GiB.
	MaxBytes int64
}

func (o Options) maxBytes() int64 { return FlattenOptions{MaxBytes: o.MaxBytes}.maxBytes() }

// Image is one image of one platform. Its manifest and config are verified, its
// layers are not: that is for whoever reads them.
type Image struct {
	Source Source
	// Manifest and Config are as the image has them. A docker archive has no
	// manifest: it gets the one that a registry would have.
	Manifest, Config oci.Document
	// Annotations are those of the manifest.
	Annotations map[string]string
	Platform    v1.Platform
	Created     *time.Time // nil for none
	Layers      []Layer    // from the bottom up

	fetch Fetcher
	// rootTar is set if the only layer is a tar of a root file system, which has no digest.
	rootTar bool
}

// Layer is one layer of an image.
type Layer struct {
	Descriptor v1.Descriptor
	DiffID     digest.Digest
	History    v1.History // empty where it is not clear which entry is the layer's
}

// Open finds the image that a source names. It is to be closed after all trees that
// it is in.
func Open(ctx context.Context, src Source, opt Options) (*Image, error) {
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

// OpenFetcher opens the place where an image is, whatever it holds.
func OpenFetcher(ctx context.Context, src Source, opt Options) (Fetcher, error) {
	if !src.IsImage() {
		return nil, errors.New("it is a directory and no image")
	}
	return src.Open(ctx, src, opt)
}

// OpenLayout opens the layout folder at the path of a source.
func OpenLayout(_ context.Context, src Source, _ Options) (Fetcher, error) {
	if _, err := os.Stat(src.Path); err != nil {
		return nil, err // a better error than that a file of the layout is missing
	}
	return layout{folder(src.Path)}, nil
}

// OpenArchive opens an OCI archive.
func OpenArchive(ctx context.Context, src Source, opt Options) (Fetcher, error) {
	a, err := openArchive(ctx, src.Path, opt)
	if err != nil {
		return nil, err
	}
	return layout{a}, nil
}

// OpenDockerArchive opens an archive of docker save.
func OpenDockerArchive(ctx context.Context, src Source, opt Options) (Fetcher, error) {
	a, err := openArchive(ctx, src.Path, opt)
	if err != nil {
		return nil, err
	}
	return &dockerArchive{files: a}, nil
}

// ReadDockerArchive reads an archive of docker save from a stream, which messages call by a name. The stream is spooled.
func ReadDockerArchive(ctx context.Context, name string, in io.Reader, opt Options) (Fetcher, error) {
	spool, err := spoolAll(interrupt.Reader(ctx, in), opt)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	a, err := (&archive{in: spool, path: name, items: make(map[string]item)}).indexed(ctx)
	if err != nil {
		return nil, err
	}
	return &dockerArchive{files: a}, nil
}

// Assemble makes an image of layers that were found in a store, which stays the
// caller's.
func Assemble(src Source, fetch Fetcher, layers []Layer) *Image {
	return &Image{Source: src, Layers: layers, fetch: fetch}
}

// Close closes what the image is read from.
func (img *Image) Close() error { return img.fetch.Close() }

// Blob opens a blob of the image as it is stored. Whoever reads it compares digest
// and size.
func (img *Image) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return img.fetch.Blob(ctx, d)
}

// Pinned is the source with the image's digest, by which another process opens
// this very image, whatever its name then stands for: the manifest's digest, of a
// docker archive the config's. A store with IDs of its own has a method Ref.
func (img *Image) Pinned() string {
	src := img.Source
	if store, ok := img.fetch.(interface{ Ref() string }); ok {
		src.Ref = store.Ref()
		return src.String()
	}
	d := img.Manifest.Descriptor.Digest
	if img.Source.DockerFormat {
		d = img.Config.Descriptor.Digest
	}
	return src.pinned(d).Absolute().String()
}

// load finds the manifest and reads what it says.
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

// PartError tells that an image is where it was looked for, and that a part of it cannot be read.
type PartError struct{ err error }

func (e *PartError) Error() string { return e.err.Error() }
func (e *PartError) Unwrap() error { return e.err }

// loadParts reads what the manifest names.
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
		have.Variant = c.want.variant // many configs leave it to the index
	}
	if opt.Platform != "" && c.want.rank(have) == 0 {
		return fmt.Errorf("it is for %s, and not for %s", PlatformName(img.Platform), opt.Platform)
	}
	return nil
}
