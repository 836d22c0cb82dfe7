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

// Reader reads files from a root, like Run. It implements layer.Content. Only one goroutine can use
// it at a time.
type Reader struct{ *contents }

// NewReader returns a reader. scanned means that this run has just verified that the files are
// regular files. again means that Run reads all these files again later in this run, and then
// detects all changes since the scan. In that case, this reader does not check files whose records
// have stamps.
func NewReader(root *rootfs.Root, scanned, again bool) Reader {
	return Reader{&contents{root: root, seen: scanned, again: again}}
}

// WriteFile implements layer.Content. For a file that the user is not permitted to read, the error
// is fs.ErrPermission.
func (r Reader) WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error) {
	n, err := r.contents.WriteFile(ctx, w, f)
	if _, ok := errors.AsType[*unreadableError](err); ok {
		err = fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return n, err
}

// ReadStart reads the first bytes of a file into p, or the whole file if it is shorter than p. If
// the record has a stamp, the next reading of the file checks that the file did not change.
func (r Reader) ReadStart(f *format.File, p []byte) (n int, err error) {
	err = r.open(f.Path, f.Stamp == "")
	if err == nil {
		defer r.file.Close()
		n, err = io.ReadFull(&r.file, p[:min(int64(len(p)), f.Size)])
	}
	if _, ok := errors.AsType[*unreadableError](err); ok {
		err = fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // package write detects that the file's size has changed
	}
	return n, err
}

// Close closes the open directory.
func (r Reader) Close() error {
	r.close()
	return nil
}
