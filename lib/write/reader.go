package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// Reader reads the files of a root as Run does, for one goroutine: layer.Content.
type Reader struct{ *contents }

// NewReader returns a reader. scanned says that the files were seen to be regular a moment ago.
func NewReader(root *rootfs.Root, scanned bool) Reader {
	return Reader{&contents{root: root, seen: scanned}}
}

// WriteFile implements layer.Content. A file that may not be read is fs.ErrPermission.
func (r Reader) WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error) {
	n, err := r.contents.WriteFile(ctx, w, f)
	if _, ok := errors.AsType[*unreadableError](err); ok {
		err = fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return n, err
}

// Close closes what the reader has open.
func (r Reader) Close() error {
	r.close()
	return nil
}
