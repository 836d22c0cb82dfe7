package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"

	"chunkah/format"
	"chunkah/lib/layer"
	"chunkah/lib/pyc"
)

// Source is where contents are read from.
type Source interface {
	// NewReader returns a reader for one goroutine.
	NewReader() Reader
	Close() error
}

// Reader reads the contents of files. After an error that is fs.ErrPermission, the contents of the
// component are unknown: the next reader of the files reports all such errors.
type Reader interface {
	layer.Content
	Close() error
}

// errNoSource means that contents are unknown because there is no source to read.
var errNoSource = errors.New("the source is not there")

// ContentsError says that the contents of a file could not be read, or are not those of the scan.
type ContentsError struct{ err error }

func (e *ContentsError) Error() string { return e.err.Error() }
func (e *ContentsError) Unwrap() error { return e.err }

// fileDigests has the results for files whose times no package bounds.
type fileDigests struct {
	files []int // in order; for a hard-link group, the first
	read  []fileDigest
	// compiled has the sources of compiled Python, with the time of the source in the compiled
	// file.
	compiled map[pySource]bool
	// compiledLinks has the hard-link groups with such a source: all names of an inode have one
	// time.
	compiledLinks map[int64]bool
	// timed has the same for all files, if all are read.
	timed map[pySource]bool
	// closed is the number of components with a file that may not be read.
	closed int
}

// fileDigest is the result for one file.
type fileDigest struct {
	sum    [sha256.Size]byte
	pyTime uint32 // the source's time in compiled Python, if timed
	timed  bool
	closed bool // permission denied
}

// of returns the result for a file, nil for none.
func (d *fileDigests) of(i int) *fileDigest {
	if n, found := slices.BinarySearch(d.files, i); found {
		return &d.read[n]
	}
	return nil
}

type pySource struct {
	path string
	time uint32
}

// read reads the files of components without a bound on their times. It opens the source only if
// there are files to read.
//
// With all, it also reads all other files whose digest is not in the stream, and compiled Python.
func (t *tree) read(ctx context.Context, open func(context.Context, *format.Header) (Source, error), threads int, all bool) (err error) {
	files := t.toRead(all)
	t.digests = &fileDigests{
		files: files, read: make([]fileDigest, len(files)),
		compiled: make(map[pySource]bool), compiledLinks: make(map[int64]bool), timed: make(map[pySource]bool),
	}
	if len(files) == 0 {
		return nil
	}
	src, err := open(ctx, &t.header)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		t.digests = nil
		return errNoSource
	}
	if err != nil {
		return err
	}
	err = t.digests.fill(ctx, src, t.files, threads)
	if err := errors.Join(err, src.Close()); err != nil {
		return &ContentsError{err}
	}
	for n, i := range files {
		f := &t.digests.read[n]
		if !f.timed {
			continue
		}
		for _, path := range pyc.Sources(t.files[i].Path) {
			t.digests.timed[pySource{path, f.pyTime}] = true
			if t.unbounded(i) {
				t.digests.compiled[pySource{path, f.pyTime}] = true
			}
		}
	}
	for _, f := range t.files {
		if f.Hardlink != 0 && t.digests.ownTime(f) {
			t.digests.compiledLinks[f.Hardlink] = true
		}
	}
	return nil
}

// unbounded reports whether no package bounds the time of a file.
func (t *tree) unbounded(i int) bool { return !t.byName[t.files[i].Components[0]].settled }

// toRead lists the files to be read, in order.
func (t *tree) toRead(all bool) (files []int) {
	groups := make(map[int64]bool)
	if all {
		for i, f := range t.files {
			if f.Type != format.TypeFile || f.Size <= 0 || f.Hardlink != 0 && groups[f.Hardlink] {
				continue
			}
			if f.Digest == "" || pyc.Is(f.Path) || t.unbounded(i) {
				groups[f.Hardlink] = f.Hardlink != 0
				files = append(files, i)
			}
		}
		return files
	}
	for _, c := range t.components {
		if c.settled || slices.ContainsFunc(c.files, func(i int) bool { return t.files[i].Size == format.SizeUnknown }) {
			continue
		}
		for _, i := range c.files {
			f := t.files[i]
			if f.Size == 0 || f.Hardlink != 0 && groups[f.Hardlink] {
				continue
			}
			groups[f.Hardlink] = true
			files = append(files, i)
		}
	}
	slices.Sort(files)
	return files
}

// readRun is how many consecutive files one reader reads: most are in the same directory, which
// stays open.
const readRun = 32

// fill reads files, as many in parallel as there are threads; 0 means cores.
func (d *fileDigests) fill(ctx context.Context, src Source, files []*format.File, threads int) error {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	workers, ctx := errgroup.WithContext(ctx)
	for range min(threads, (len(d.files)+readRun-1)/readRun) {
		workers.Go(func() error {
			r := src.NewReader()
			err := func() error {
				for {
					from := int(next.Add(readRun)) - readRun
					if from >= len(d.files) {
						return nil
					}
					for n := from; n < min(from+readRun, len(d.files)); n++ {
						if err := d.read[n].fill(ctx, r, files[d.files[n]]); err != nil {
							return err
						}
					}
				}
			}()
			return errors.Join(err, r.Close())
		})
	}
	return workers.Wait()
}

// fill reads one file.
func (d *fileDigest) fill(ctx context.Context, r Reader, f *format.File) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h := &summer{hash: sha256.New()}
	if pyc.Is(f.Path) {
		h.header = make([]byte, 0, pyc.HeaderSize)
	}
	n, err := r.WriteFile(ctx, h, f)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.closed = true
		return nil
	case err != nil:
		return err
	case n != f.Size:
		return fmt.Errorf("reading %q: got %d bytes where %d were announced", f.Path, n, f.Size)
	}
	h.hash.Sum(d.sum[:0])
	d.pyTime, d.timed = pyc.Time(h.header)
	return nil
}

// summer hashes a file, and keeps the start that fits header.
type summer struct {
	hash   hash.Hash
	header []byte
}

func (s *summer) Write(p []byte) (int, error) {
	if room := cap(s.header) - len(s.header); room > 0 {
		s.header = append(s.header, p[:min(room, len(p))]...)
	}
	return s.hash.Write(p)
}

// ownTime reports whether a file must keep its own time: compiled Python contains the source's
// time, and is stale if they differ.
func (d *fileDigests) ownTime(f *format.File) bool {
	return f.Type == format.TypeFile && (f.Hardlink != 0 && d.compiledLinks[f.Hardlink] ||
		strings.HasSuffix(f.Path, ".py") && d.compiled[pySource{f.Path, uint32(f.MTime)}])
}

// contentsVersion changes with the definition of contents, so that digests of different definitions
// never match.
const contentsVersion = "contents 1"

// digest sets the contents of components without a bound on their times: a digest of everything in
// their tar except times.
func (t *tree) digest() {
	if t.digests == nil {
		return
	}
	marks := newMarks(t)
	var p print
	for n, c := range t.components {
		if c.settled {
			continue
		}
		if known, closed := t.known(c); !known {
			if closed {
				t.digests.closed++
			}
			continue
		}
		p.reset()
		p.text(contentsVersion)
		for _, i := range marks.withParents(c.files, n+1) {
			f := t.files[i]
			own, time := t.digests.ownTime(f), int64(0)
			if own {
				time = f.MTime
			}
			p.file(f, time)
			if own {
				p.number(1) // even if the time is 0
			}
			if d := t.digests.of(i); d != nil {
				p.hash.Write(d.sum[:])
			}
		}
		c.contents = hex.EncodeToString(p.sum())
	}
}

// known reports whether all files of a component could be read, and if not, whether one may not be
// read.
func (t *tree) known(c *component) (known, closed bool) {
	for _, i := range c.files {
		if t.files[i].Size == format.SizeUnknown {
			return false, false
		}
		if d := t.digests.of(i); d != nil && d.closed {
			return false, true
		}
	}
	return true, false
}
