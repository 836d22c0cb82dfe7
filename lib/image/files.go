package image

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/lib/interrupt"
	"chunkah/lib/oci"
	"chunkah/lib/regular"
)

// files gives access to the files of a local image, in a directory or an archive.
type files interface {
	// open opens a regular file by its slash-separated path.
	open(name string) (*file, error)
	Close() error
}

// file is an open file. It is an io.ReaderAt, so that callers can read it in place.
type file struct {
	*io.SectionReader
	closer io.Closer // nil if there is nothing to close
}

// Stat describes the file of a blob in a layout directory. In an archive, a blob has no file of its
// own.
func (f *file) Stat() (fs.FileInfo, error) {
	if own, ok := f.closer.(*os.File); ok {
		return own.Stat()
	}
	return nil, errors.ErrUnsupported
}

func (f *file) Close() error {
	if f.closer == nil {
		return nil
	}
	return closed(f.closer.Close())
}

// closed ignores the error from closing a file twice.
func closed(err error) error {
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// folder is a directory that contains the files.
type folder string

func (d folder) Close() error { return nil }

func (d folder) open(name string) (*file, error) {
	return openRegular(filepath.Join(string(d), filepath.FromSlash(name)))
}

// openRegular opens a regular file. It refuses pipes, which could block.
func openRegular(path string) (*file, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{io.NewSectionReader(f, 0, st.Size()), f}, nil
}

// OpenFile opens a file that could be an image. It uses O_NOATIME if the user owns the file, so
// that the source does not change.
func OpenFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) {
		return os.OpenFile(path, os.O_RDONLY, 0)
	}
	return f, err
}

// archive is a tar that contains the files. It is never extracted.
type archive struct {
	in    *os.File
	path  string
	items map[string]item
	names int // bytes of all names and link targets
}

// item is a file in an archive, or a symlink to such a file.
type item struct {
	offset, size int64
	link         string // target of a symlink, or empty
}

// openArchive finds the files in a tar. A pipe or a compressed tar is spooled first.
func openArchive(ctx context.Context, path string, opt Options) (*archive, error) {
	in, err := openTar(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	a := &archive{in: in, path: path, items: make(map[string]item)}
	if err := a.unpack(ctx, opt); err != nil {
		a.in.Close()
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return a.indexed(ctx)
}

// indexed finds the files in the archive.
func (a *archive) indexed(ctx context.Context) (*archive, error) {
	if err := a.index(ctx); err != nil {
		a.in.Close()
		return nil, fmt.Errorf("reading the tar %q: %w", a.path, err)
	}
	return a, nil
}

// openTar opens an archive's tar. It can be a pipe if it is read only once.
func openTar(ctx context.Context, path string, opt Options) (*os.File, error) {
	if opt.Again {
		in, err := regular.Open(path)
		if errors.Is(err, regular.ErrNot) {
			err = fmt.Errorf("%w: chunkah-scan needs an archive that later stages can read too", err)
		}
		return in, err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil: // the error from opening the file is more helpful
	case info.IsDir():
		return nil, &fs.PathError{Op: "open", Path: path, Err: unix.EISDIR}
	case info.Mode().Type() == fs.ModeNamedPipe:
		return interrupt.Open(ctx, path, OpenFile)
	case !info.Mode().IsRegular(): // a device can be endless, and opening it can have side effects
		return nil, fmt.Errorf("%w, nor a pipe", &fs.PathError{Op: "open", Path: path, Err: regular.ErrNot})
	}
	return regular.Open(path)
}

func (a *archive) Close() error { return closed(a.in.Close()) }

// unpack replaces an archive that does not allow random access with a spool.
func (a *archive) unpack(ctx context.Context, opt Options) error {
	st, err := a.in.Stat()
	if err != nil {
		return err
	}
	// Reading a pipe can block for a long time. Reading a file does not.
	in := a.in
	stop := context.AfterFunc(ctx, func() { _ = in.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	packed := &counter{in: interrupt.Reader(ctx, opt.Work.Reader(in))}
	buffered := bufio.NewReaderSize(packed, readBuffer)
	packing, err := detect(buffered)
	if err != nil {
		return err
	}
	if packing == plain && st.Mode().IsRegular() {
		_, err = a.in.Seek(0, io.SeekStart)
		return err
	}
	if st.Mode().IsRegular() {
		opt.Work.Expect(st.Size()) // the archive is compressed, so all of it is read
	}
	var u unpacker
	defer u.close()
	unpacked, err := u.open(buffered, packing)
	if err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	s, err := spoolAll(interrupt.Reader(ctx, &inflated{in: unpacked, packed: packed}), opt)
	if err != nil {
		return err
	}
	a.in.Close()
	a.in = s
	return nil
}

// spoolAll copies an archive to a spool.
func spoolAll(in io.Reader, opt Options) (*os.File, error) {
	s, err := newSpool(opt.Spool)
	if err != nil {
		return nil, err
	}
	limit := opt.maxBytes()
	n, err := s.add(io.LimitReader(in, limit+1))
	switch {
	case err == nil && n > limit:
		err = fmt.Errorf("contains more than %d bytes, the limit for an image", limit)
	case err == nil:
		err = s.finish()
	}
	if err == nil {
		_, err = s.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s.file, nil
}

// inflated limits the decompressed size of an archive in proportion to its compressed size.
type inflated struct {
	in       io.Reader
	packed   *counter
	unpacked int64
}

func (i *inflated) Read(p []byte) (int, error) {
	n, err := i.in.Read(p)
	if i.unpacked += int64(n); i.unpacked > freeBytes+maxRatio*i.packed.read {
		return 0, errRatio
	}
	return n, err
}

// index records the position of each file. The tar reader seeks past contents.
func (a *archive) index(ctx context.Context) error {
	in := tar.NewReader(a.in)
	names := newBudget(0)
	for range maxArchiveFiles {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = names.entry(len(h.Name) + len(h.Linkname))
		}
		if err != nil {
			return err
		}
		if err := a.add(h); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
	return fmt.Errorf("more than %d entries, the limit for an image", maxArchiveFiles)
}

func (a *archive) add(h *tar.Header) error {
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if a.names += len(name) + len(h.Linkname); a.names > maxArchiveNames {
		return fmt.Errorf("the names of all entries are larger than %d bytes in total", maxArchiveNames)
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		if isSparse(h) {
			return errors.New("is sparse: store it without holes")
		}
		offset, err := a.in.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.items[name] = item{offset: offset, size: h.Size}
	case tar.TypeSymlink: // docker save writes symlinks for layers that images share
		a.items[name] = item{link: path.Join(path.Dir(name), h.Linkname)}
	case tar.TypeLink:
		a.items[name] = item{link: path.Clean(h.Linkname)}
	}
	return nil
}

func (a *archive) open(name string) (*file, error) {
	at := name
	for range maxLinks {
		f, found := a.items[at]
		switch {
		case !found:
			return nil, fmt.Errorf("%q is not in the archive %q: %w", at, a.path, fs.ErrNotExist)
		case f.link == "":
			return &file{io.NewSectionReader(a.in, f.offset, f.size), nil}, nil
		}
		at = strings.TrimPrefix(f.link, "/")
	}
	return nil, fmt.Errorf("resolving %q in the archive %q follows more than %d links", name, a.path, maxLinks)
}

// readSmall reads a file of a few kilobytes.
func readSmall(in files, name string) ([]byte, error) {
	f, err := in.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > oci.MaxDocument {
		return nil, fmt.Errorf("reading %q: the file is %d bytes, above the limit of %d", name, f.Size(), oci.MaxDocument)
	}
	data := make([]byte, f.Size())
	_, err = io.ReadFull(f, data)
	if err == nil {
		err = checkDocument(data)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	return data, nil
}
