package cli

import (
	"context"
	"io"
	"io/fs"

	"chunkah/format"
	"chunkah/lib/pack"
	"chunkah/lib/rootfs"
	"chunkah/lib/source"
	"chunkah/lib/write"
)

// packSource is the source from which pack reads file contents.
type packSource struct {
	io.Closer
	root    *rootfs.Root
	scanned bool // scan has just checked that the files are regular
	small   *write.SmallFiles
}

// NewReader implements pack.Source.
func (s packSource) NewReader() pack.Reader { return write.NewReader(s.root, s.scanned, s.small) }

// openPackSource returns a function that opens, for pack, the source listed in a header.
func (f *imageFlags) openPackSource(env *Env) func(context.Context, *format.Header) (pack.Source, error) {
	return func(ctx context.Context, h *format.Header) (pack.Source, error) {
		switch {
		case len(h.Sources) > 0:
		case h.Root == "":
			return nil, fs.ErrNotExist
		default:
			root, err := rootfs.Open(h.Root)
			return packSource{Closer: root, root: root}, err
		}
		set, err := source.OpenHeader(ctx, h, source.Options{Image: f.imageOptions(env)})
		if err != nil {
			return nil, err
		}
		return packSource{Closer: set, root: set.Root}, nil
	}
}

// packSource returns the source that the build has already opened.
func (b *building) packSource() pack.Source {
	return packSource{Closer: io.NopCloser(nil), root: b.set.Root, scanned: b.write.Scanned, small: b.write.Small}
}
