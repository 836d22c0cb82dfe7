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

// contentSource is the source from which pack reads file contents.
type contentSource struct {
	io.Closer
	root    *rootfs.Root
	scanned bool // scan has just checked that the files are regular
	again   bool // write reads the files again
}

// NewReader implements pack.Contents.
func (s contentSource) NewReader() pack.Reader { return write.NewReader(s.root, s.scanned, s.again) }

// openPackContents returns a function with which the stage pack opens the source listed in a
// header.
func (f *imageFlags) openPackContents(env *Env) func(context.Context, *format.Header) (pack.Contents, error) {
	return func(ctx context.Context, h *format.Header) (pack.Contents, error) {
		switch {
		case len(h.Sources) > 0:
		case h.Root == "":
			return nil, fs.ErrNotExist
		default:
			root, err := rootfs.Open(h.Root)
			return contentSource{Closer: root, root: root}, err
		}
		set, err := source.OpenHeader(ctx, h, source.Options{Image: f.imageOptions(env)})
		if err != nil {
			return nil, err
		}
		return contentSource{Closer: set, root: set.Root}, nil
	}
}

// packContents returns the source that the build has already opened.
func (b *building) packContents() pack.Contents {
	again := b.patched == nil // if layers are kept, write does not read their files
	return contentSource{Closer: io.NopCloser(nil), root: b.set.Root, scanned: b.write.Scanned, again: again}
}
