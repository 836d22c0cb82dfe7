package previous

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/image"
	"chunkah/lib/pack"
	"chunkah/lib/regular"
)

// setTars lets pack read the layers that are uncompressed and on this machine, if it is proven that
// they have the entries in their records.
func (s *search) setTars() {
	if s.img.Source.Network {
		return
	}
	for i, made := range s.img.Layers {
		at := &s.image.Layers[i]
		entries := at.Entries
		if at.Record != nil && at.Record.Entries != "" {
			entries = at.Record.Entries
		}
		if entries != "" && made.Descriptor.Digest == made.DiffID && s.proven.HasEntries(made.DiffID, digest.Digest(entries)) {
			at.Open = func(ctx context.Context) (pack.Tar, error) { return openTar(ctx, s.img, made, at) }
		}
	}
}

// tar is the blob of an uncompressed layer.
type tar struct {
	io.ReadCloser
	layer  *pack.ImageLayer
	before fs.FileInfo // nil if the blob is not a file of its own
	opened time.Time
}

var errNotInPlace = errors.New("the blob cannot be read in place")

// openTar opens the blob of an uncompressed layer if it is in a file.
func openTar(ctx context.Context, img *image.Image, made image.Layer, layer *pack.ImageLayer) (*tar, error) {
	in, err := img.Blob(ctx, made.Descriptor)
	if err != nil {
		return nil, err
	}
	if _, inPlace := in.(io.ReaderAt); !inPlace {
		return nil, errors.Join(errNotInPlace, in.Close())
	}
	t := &tar{ReadCloser: in, layer: layer, opened: time.Now()}
	t.before = t.stat()
	return t, nil
}

func (t *tar) stat() fs.FileInfo {
	if f, ok := t.ReadCloser.(interface{ Stat() (fs.FileInfo, error) }); ok {
		if info, err := f.Stat(); err == nil {
			return info
		}
	}
	return nil
}

// Proven implements pack.Tar.
func (t *tar) Proven() {
	if after := t.stat(); t.before != nil && after != nil && regular.Settled(t.before, t.opened) && regular.Unchanged(t.before, after) {
		t.layer.Verified = after
	}
}
