package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// copyBuffer is the number of bytes per read. It is large enough that system calls do not matter,
// and small enough for the second-level cache.
const copyBuffer = 256 << 10

// copyBuffers contains *[copyBuffer]byte values that layers share. A new buffer per layer would
// become garbage, and the collector lets garbage grow to the size of the live heap.
var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// contents reads the files of one layer. It implements layer.Content. It keeps the last directory
// open because files arrive in walk order.
type contents struct {
	root *rootfs.Root
	// seen is set if this run has just seen that the files are regular.
	seen bool
	// small stores contents of small files, so that a second reading need not open them. first is
	// set during the first reading, which stores them.
	small *SmallFiles
	first bool
	dir   *rootfs.Dir
	file  rootfs.File // the file that was opened last
	buf   *[copyBuffer]byte
}

func (w *writer) newContents() *contents {
	return &contents{root: w.root, seen: w.opt.Scanned, small: w.opt.Small}
}

func (c *contents) close() {
	c.leave()
	if c.buf != nil {
		copyBuffers.Put(c.buf)
		c.buf = nil
	}
}

// leave closes the open directory.
func (c *contents) leave() {
	if c.dir != nil {
		_ = c.dir.Close() // it was only used for reading
		c.dir = nil
	}
}

// errChanged means that a file changed during the build.
var errChanged = errors.New("file changed: do not write to the root during the build")

// checkStamp makes sure that the file is unchanged since scan recorded it.
func checkStamp(f *format.File, st rootfs.Stat) error {
	if f.Stamp == "" || st.HasStamp(f.Stamp) {
		return nil
	}
	return fmt.Errorf("reading %q: its inode, size or times differ from the scan: %w", f.Path, errChanged)
}

// WriteFile implements layer.Content. A record from a script has no stamp. In this case the file
// must be the same before and after reading.
func (c *contents) WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error) {
	if f.Size == 0 {
		return 0, c.checkEmpty(f)
	}
	if !c.first {
		if data := c.small.contents(f); int64(len(data)) == f.Size {
			return c.again(w, f, data)
		}
	}
	in, err := c.open(f.Path)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	if in.Opened().Size != f.Size {
		return 0, sizeChanged(f, in.Opened())
	}
	if err := checkStamp(f, in.Opened()); err != nil {
		return 0, err
	}
	n, err := c.copy(ctx, w, in, f.Size)
	if err != nil {
		return n, err
	}
	if c.first && n == f.Size && n <= smallFile {
		c.small.keep(f, c.buf[:n])
	}
	if c.first && f.Stamp != "" {
		return n, nil // the next reading checks the stamp
	}
	after, err := in.Stat()
	if err != nil {
		return n, err
	}
	switch {
	case n != f.Size || after.Size != f.Size:
		return n, sizeChanged(f, after)
	case !after.Same(in.Opened()):
		return n, fmt.Errorf("reading %q: %w", f.Path, errChanged)
	}
	return n, nil
}

// again writes contents that were read before, if the file is unchanged since scan recorded it.
func (c *contents) again(w io.Writer, f *format.File, data []byte) (int64, error) {
	if err := c.enter(f.Path); err != nil {
		return 0, err
	}
	st, err := c.dir.Lstat(format.Base(f.Path))
	if err != nil {
		return 0, openError(f.Path, err)
	}
	if err := checkStamp(f, st); err != nil {
		return 0, err
	}
	n, err := w.Write(data)
	return int64(n), err
}

func sizeChanged(f *format.File, st rootfs.Stat) error {
	return fmt.Errorf("reading %q: %d bytes, but the stream says %d: %w", f.Path, st.Size, f.Size, errChanged)
}

// copy copies size bytes, or the whole file if it is shorter. It need not detect that a file grew,
// because the file's metadata then differ.
func (c *contents) copy(ctx context.Context, w io.Writer, in *rootfs.File, size int64) (n int64, err error) {
	if c.buf == nil {
		c.buf = copyBuffers.Get().(*[copyBuffer]byte)
	}
	for n < size {
		at := c.buf[:]
		if size <= smallFile {
			at = c.buf[n:] // so that the buffer contains the whole file
		}
		m, err := in.Read(at[:min(int64(len(at)), size-n)])
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, err
		}
		if _, err := w.Write(at[:m]); err != nil {
			return n, err
		}
		if n += int64(m); ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
	}
	return n, nil
}

// checkEmpty makes sure that a file is still empty. Like scan, it treats a file that is a mount
// point as an empty file.
func (c *contents) checkEmpty(f *format.File) error {
	if err := c.enter(f.Path); err != nil {
		return err
	}
	st, err := c.dir.Lstat(format.Base(f.Path))
	switch {
	case err != nil:
		return openError(f.Path, err)
	case st.MountRoot && f.Stamp == "":
		return nil
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return openError(f.Path, fmt.Errorf("opening %q: %w", f.Path, rootfs.ErrNotRegular))
	case st.Size != 0:
		return sizeChanged(f, st)
	}
	return checkStamp(f, st)
}

// enter opens the parent directory of path, unless it is already open.
func (c *contents) enter(path string) error {
	if c.root == nil {
		return fmt.Errorf("reading %q: the stream has no root directory: set it with --rootfs", path)
	}
	parent := format.Parent(path)
	if c.dir != nil && c.dir.Path() == parent {
		return nil
	}
	c.leave()
	dir, err := c.root.OpenDir(parent)
	if err != nil {
		return openError(path, fmt.Errorf("reading %q: %w", path, err))
	}
	c.dir = dir
	return nil
}

// open opens a file. The file that was opened before must be closed.
func (c *contents) open(path string) (*rootfs.File, error) {
	if err := c.enter(path); err != nil {
		return nil, err
	}
	if err := c.file.Open(c.dir, format.Base(path), c.seen); err != nil {
		return nil, openError(path, err)
	}
	return &c.file, nil
}

// openError adds advice to the error for a file that cannot be opened.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &unreadableError{paths: []string{path}}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP),
		errors.Is(err, rootfs.ErrNotRegular):
		return fmt.Errorf("%w, but the stream lists a file at this path: %w", err, errChanged)
	}
	return err
}

// unreadableError lists all files that the user is not permitted to read. The error from open names
// only one file.
type unreadableError struct{ paths []string }

func (e *unreadableError) Error() string { return strings.Join(e.Lines(), "\n") }

// Lines returns a summary line, followed by one line per path.
func (e *unreadableError) Lines() []string {
	files := "files"
	if len(e.paths) == 1 {
		files = "file"
	}
	lines := []string{fmt.Sprintf("%d %s cannot be read (permission denied): run as the owner or as root, or use chunkah-scan --prune:", len(e.paths), files)}
	for _, p := range e.paths {
		lines = append(lines, fmt.Sprintf("  %q", p))
	}
	return lines
}
