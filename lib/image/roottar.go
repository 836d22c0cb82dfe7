package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"chunkah/format"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// FlattenTar reads a tar of a root file system, for example from docker export. It works like
// Flatten on an image whose only layer is that tar, but without a digest to verify. The tar can be
// compressed and can come from a pipe.
func FlattenTar(ctx context.Context, src Location, from Options, opt FlattenOptions) (*Tree, error) {
	in, err := openTar(ctx, src.Path, from)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", src, err)
	}
	info, err := in.Stat()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	img := Assemble(src, rootTar{in, info}, []Layer{{}})
	if info.Mode().IsRegular() {
		img.Layers[0].Descriptor.Size = info.Size()
	}
	img.rootTar = true
	// Reading a pipe can block for a long time. Reading a file does not.
	stop := context.AfterFunc(ctx, func() { _ = in.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	tree, err := Flatten(ctx, img, opt)
	if err != nil {
		return nil, errors.Join(err, img.Close())
	}
	tree.layers[0].closers = append(tree.layers[0].closers, img.fetch)
	if err := refuseImage(tree); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %q: %w", src, err), tree.Close())
	}
	return tree, nil
}

// refuseImage refuses a tar that contains an image archive.
func refuseImage(t *Tree) error {
	names, err := t.Names("/")
	if err != nil {
		return err
	}
	has := func(name string) bool { return slices.Contains(names, name) }
	switch {
	case has(v1.ImageLayoutFile) && has(v1.ImageIndexFile) && has(v1.ImageBlobsDir):
		return errors.New("is an OCI archive: use oci-archive:FILE")
	case has("manifest.json") && !has("usr") && !has("etc"):
		return errors.New("is a docker save archive: use docker-archive:FILE")
	}
	return nil
}

// rootTar is the store of an image whose only layer is a root tar.
type rootTar struct {
	in   *os.File
	info os.FileInfo
}

func (r rootTar) Manifest(context.Context, string) ([]byte, string, error) {
	return nil, "", errors.New("a root tar has no manifest")
}

// Blob implements Fetcher. A file is read in place.
func (r rootTar) Blob(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	if r.info.Mode().IsRegular() {
		return &file{io.NewSectionReader(r.in, 0, r.info.Size()), nil}, nil
	}
	return io.NopCloser(r.in), nil
}

func (r rootTar) Close() error { return closed(r.in.Close()) }

// newUnverified returns a reader for a blob without a digest.
func newUnverified(ctx context.Context, in io.Reader, want v1.Descriptor) *verified {
	return &verified{ctx: ctx, in: in, want: want, whole: true}
}

// globalRecords are the records in a global header that do not change the tree.
var globalRecords = []string{"comment", "charset", "hdrcharset", "atime", "ctime", "uname", "gname"}

// rootEntry refuses entries that are not allowed in a root tar, and adds metadata that only a root
// tar contains.
func (r *layerReader) rootEntry(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
			if !slices.Contains(globalRecords, key) {
				return fmt.Errorf("is a global header that sets %q for all entries: unpack the tar, and use the directory", key)
			}
		}
		return nil
	}
	clean, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	for part := range strings.SplitSeq(clean, "/") {
		if strings.HasPrefix(part, format.WhiteoutPrefix) {
			return fmt.Errorf("has a name that begins with %q, which marks a deleted file in a layer: use the image, not one of its layers", format.WhiteoutPrefix)
		}
	}
	return addACLs(h)
}
