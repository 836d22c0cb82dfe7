package image

import (
	"bytes"
	"context"
	"io"
	"slices"

	"chunkah/lib/interrupt"
	"chunkah/lib/rootfs"
)

// Store stores a non-empty regular file from a layer, with its metadata, and returns a number for
// it. It reads st.Size bytes from in. The file has no name yet, because upper layers can hide it,
// and its layer is not verified yet. Calls for different layers are concurrent, and calls for one
// layer are sequential.
type Store func(ctx context.Context, st rootfs.Stat, xattrs []rootfs.Xattr, in io.Reader) (number int64, err error)

// Stored is a file that a Store received.
type Stored struct {
	Number int64
	// Relinked is set if a hard link's entry changed the metadata afterwards.
	Relinked bool
}

// Stored returns the number of a regular file, and whether a Store received it.
func (t *Tree) Stored(path string) (Stored, bool, error) {
	n, err := t.find(path)
	if err != nil || !n.stored {
		return Stored{}, false, err
	}
	return Stored{n.offset, n.relinked}, true, nil
}

// differs reports whether the metadata of a hard link's entry differs from its inode's metadata.
func (n *node) differs(link *node) bool {
	if n.uid != link.uid || n.gid != link.gid || n.mode&0o7777 != link.mode&0o7777 || n.mtime != link.mtime || n.nsec != link.nsec {
		return true
	}
	if link.more == nil {
		return false
	}
	return slices.ContainsFunc(link.more.xattrs, func(x rootfs.Xattr) bool {
		return n.more == nil || !slices.ContainsFunc(n.more.xattrs, func(y rootfs.Xattr) bool { return y.Name == x.Name && bytes.Equal(y.Value, x.Value) })
	})
}

// keepStored passes a file to the store.
func (r *layerReader) keepStored(in io.Reader, n *node, sparse bool) (err error) {
	if sparse {
		if err := r.sparse(n.size); err != nil {
			return err
		}
		in = interrupt.Reader(r.blob.ctx, in) // holes are not read from the blob, which checks ctx
	}
	var xattrs []rootfs.Xattr
	if n.more != nil {
		xattrs = n.more.xattrs
	}
	n.stored = true
	n.offset, err = r.store(r.blob.ctx, n.stat(), xattrs, struct{ io.Reader }{in})
	return err
}
