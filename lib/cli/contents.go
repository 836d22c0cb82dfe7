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

// packSource is what pack reads contents from.
type packSource struct {
	io.Closer
	root    *rootfs.Root
	scanned bool // the files were seen to be regular a moment ago
}

// NewReader implements pack.Source.
func (s packSource) NewReader() pack.Reader { return write.NewReader(s.root, s.scanned) }

// openPackSource opens for pack what a header names.
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

// packSource is what pack reads contents from: the source that the build has open.
func (b *building) packSource() pack.Source {
	return packSource{Closer: io.NopCloser(nil), root: b.set.Root, scanned: b.write.Scanned}
}
