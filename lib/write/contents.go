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
// become garbage, and the garbage can grow to the size of the live heap before it is collected.
var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// contents reads the files of one layer. It implements layer.Content. It keeps the last directory
// open because files arrive in walk order.
type contents struct {
	root *rootfs.Root
	// seen is set if this run has just verified that the files are regular files.
	seen bool
	// again is set if Run reads the files again later in this run. In that case, Run checks the
	// stamps, and this reader does not.
	again bool
	dir   *rootfs.Dir
	file  rootfs.File // the file that was opened last
	buf   *[copyBuffer]byte
}

func (w *writer) newContents() *contents {
	return &contents{root: w.root, seen: w.opt.Scanned}
}

func (c *contents) close() {
	c.leave()
	if c.buf != nil {
		copyBuffers.Put(c.buf)
		c.buf = nil
	}
}

func (c *contents) buffer() *[copyBuffer]byte {
	if c.buf == nil {
		c.buf = copyBuffers.Get().(*[copyBuffer]byte)
	}
	return c.buf
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
	return fmt.Errorf("reading %q: its inode, size or times differ from those that the scan recorded: %w", f.Path, errChanged)
}

// WriteFile implements layer.Content. A record from a script has no stamp. In this case the file
// must be the same before and after reading.
func (c *contents) WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error) {
	if f.Size == 0 {
		return 0, c.checkEmpty(f)
	}
	// If the record has a stamp and nothing was written before, one check after reading is enough.
	once := f.Stamp != "" && (f.Size <= copyBuffer || c.again)
	if err := c.open(f.Path, !once); err != nil {
		return 0, err
	}
	defer c.file.Close()
	if !once {
		if before := c.file.Opened(); before.Size != f.Size {
			return 0, sizeChanged(f, before)
		} else if err := checkStamp(f, before); err != nil {
			return 0, err
		}
	}
	if f.Size <= copyBuffer {
		return c.writeWhole(w, f)
	}
	n, err := c.copy(ctx, w, &c.file, f.Size)
	return n, c.check(f, n, err)
}

// writeWhole reads a file into the buffer, and writes it if it did not change.
func (c *contents) writeWhole(w io.Writer, f *format.File) (int64, error) {
	data := c.buffer()[:f.Size]
	n, err := io.ReadFull(&c.file, data)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil // check reports the size
	}
	if err := c.check(f, int64(n), err); err != nil {
		return 0, err
	}
	n, err = w.Write(data)
	return int64(n), err
}

// check makes sure that a file was read completely and did not change. If the file is not regular,
// it reports this instead of the error from reading.
func (c *contents) check(f *format.File, read int64, failed error) error {
	if c.again && f.Stamp != "" && read == f.Size && failed == nil {
		return nil // the next reading checks the stamp
	}
	after, err := c.file.Stat()
	switch {
	case err != nil && failed == nil:
		return err
	case err == nil && !after.Regular():
		return openError(f.Path, fmt.Errorf("opening %q: %w", f.Path, rootfs.ErrNotRegular))
	case failed != nil:
		return failed
	case read != f.Size || after.Size != f.Size:
		return sizeChanged(f, after)
	case f.Stamp != "":
		return checkStamp(f, after)
	case !after.Same(c.file.Opened()):
		return fmt.Errorf("reading %q: %w", f.Path, errChanged)
	}
	return nil
}

func sizeChanged(f *format.File, st rootfs.Stat) error {
	return fmt.Errorf("reading %q: got %d bytes, expected %d as in the stream: %w", f.Path, st.Size, f.Size, errChanged)
}

// copy copies size bytes, or the whole file if it is shorter. It need not detect that a file has
// grown, because this also changes the file's metadata.
func (c *contents) copy(ctx context.Context, w io.Writer, in *rootfs.File, size int64) (n int64, err error) {
	buf := c.buffer()
	for n < size {
		m, err := in.Read(buf[:min(copyBuffer, size-n)])
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, err
		}
		if _, err := w.Write(buf[:m]); err != nil {
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

// open opens a file as c.file, which must be closed before the next file is opened. Without check,
// the caller must check the opened file's type.
func (c *contents) open(path string, check bool) error {
	if err := c.enter(path); err != nil {
		return err
	}
	var err error
	if check {
		err = c.file.Open(c.dir, format.Base(path), c.seen)
	} else {
		err = c.file.OpenUnchecked(c.dir, format.Base(path), c.seen)
	}
	if err != nil {
		return openError(path, err)
	}
	return nil
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
