package pack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"

	"chunkah/format"
	"chunkah/lib/contentid"
	"chunkah/lib/interrupt"
	"chunkah/lib/layer"
	"chunkah/lib/pyc"
)

// Contents provides the contents of files.
type Contents interface {
	// NewReader returns a reader for one goroutine.
	NewReader() Reader
	Close() error
}

// Reader reads the contents of files. If it returns fs.ErrPermission, the contents of the component
// are unknown, and the run continues. A later stage that reads the files reports all such errors.
type Reader interface {
	layer.Content
	// ReadStart reads the start of a file, up to len(p) bytes.
	ReadStart(f *format.File, p []byte) (int, error)
	Close() error
}

// errNoSource means that contents are unknown because there is no source to read.
var errNoSource = errors.New("the source is not available")

// ContentsError means that the contents of a file could not be read, or changed after the scan.
type ContentsError struct{ err error }

func (e *ContentsError) Error() string { return e.err.Error() }
func (e *ContentsError) Unwrap() error { return e.err }

// reading reads the files of a tree.
type reading struct {
	*tree
	opt *Options
	// all is set for patch layers. In this case, files from packages are read too, and the SHA-256
	// of all files is computed.
	all bool
	// partial is set if the caller accepts components without contents. Package write then hashes
	// the files of these components.
	partial bool
	src     Contents // nil until a file is read
}

// readContents reads the files of components that have no mtime clamp, and sets the components'
// contents. It opens the source only if it has to read files. For patch layers it also reads
// compiled Python and all other files whose digest is not in the stream.
func (t *tree) readContents(ctx context.Context, opt *Options) error {
	r := &reading{tree: t, opt: opt, all: opt.MaxStale > 0}
	r.partial = opt.Incomplete && opt.Planned == nil && !r.all
	t.digests = newFileDigests()
	err := errors.Join(r.readFiles(ctx), r.close())
	if errors.Is(err, errNoSource) {
		t.digests = nil
	}
	return err
}

// readFiles reads compiled Python first, because it decides which files keep their own times. After
// that, the attributes of the components are known. They determine whether other files must be
// read.
func (r *reading) readFiles(ctx context.Context) error {
	files := r.toRead(r.all)
	if err := r.compareLayers(ctx, files); err != nil {
		return err
	}
	python := choose(files, r.hasSource)
	onlyTimes := r.partial && !r.opt.dated() // in this case, no contents are needed
	if err := r.fill(ctx, choose(python, r.unread), onlyTimes); err != nil {
		return err
	}
	r.findCompiled(python)
	if _, err := interrupt.Call(ctx, func() (any, error) { r.attributes(); return nil, r.effort.err() }); err != nil {
		return err
	}
	others := choose(files, func(i int) bool {
		return r.unread(i) && (r.all || !r.leftToWrite(r.byName[r.files[i].Components[0]]))
	})
	if err := r.fill(ctx, others, false); err != nil {
		return err
	}
	r.setContents(r.leftToWrite)
	r.digests.read = nil // they are not needed any more
	return nil
}

// unread reports whether a file can still be read.
func (r *reading) unread(i int) bool {
	d := r.digests.of(i)
	return !d.closed && (!d.hashed || r.all && !r.files[i].Digest.Known())
}

// dated reports whether the previous image records times that components can keep.
func (o *Options) dated() bool { return o.PreviousLayout != nil && len(o.PreviousLayout.Times) > 0 }

// leftToWrite reports whether package write hashes a component's files.
func (r *reading) leftToWrite(c *component) bool { return r.partial && !r.canKeepTimes(c) }

// canKeepTimes reports whether a component's contents might be unchanged since the previous image,
// in which case it keeps its times. The component's attributes are known at this point, but the
// contents of its files are not.
func (r *reading) canKeepTimes(c *component) bool {
	return r.opt.dated() && c.attributes.CanBe(r.opt.PreviousLayout.Times[c.record.Name].Contents)
}

// unbounded reports whether a file's component has no mtime clamp.
func (t *tree) unbounded(i int) bool { return !t.byName[t.files[i].Components[0]].bounded }

// toRead lists the files to read, in order.
func (t *tree) toRead(all bool) (files []int) {
	groups := make(map[int64]bool)
	if all {
		for i, f := range t.files {
			if f.Type != format.TypeFile || f.Size <= 0 || f.Hardlink != 0 && groups[f.Hardlink] {
				continue
			}
			if !f.Digest.Known() || pyc.Is(f.Path) || t.unbounded(i) {
				groups[f.Hardlink] = f.Hardlink != 0
				files = append(files, i)
			}
		}
		return files
	}
	for _, c := range t.components {
		if c.bounded || slices.ContainsFunc(c.files, func(i int) bool { return t.files[i].Size == format.SizeUnknown }) {
			continue
		}
		files = slices.Grow(files, len(c.files))
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

// choose returns the files for which a condition is true.
func choose(files []int, is func(i int) bool) (list []int) {
	for _, i := range files {
		if is(i) {
			list = append(list, i)
		}
	}
	return list
}

// hasSource reports whether a file is compiled Python and the tree contains a file that can be its
// source.
func (t *tree) hasSource(i int) bool {
	path := t.files[i].Path
	return pyc.Is(path) && slices.ContainsFunc(pyc.Sources(path), func(source string) bool { return t.find(source) >= 0 })
}

// open opens the source.
func (r *reading) open(ctx context.Context) (err error) {
	if r.src != nil {
		return nil
	}
	src, err := r.opt.Open(ctx, &r.header)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		return errNoSource
	}
	if err != nil {
		return err
	}
	r.src, r.digests.read = src, make([]fileDigest, len(r.files))
	return nil
}

func (r *reading) close() error {
	if r.src == nil {
		return nil
	}
	if err := r.src.Close(); err != nil {
		return &ContentsError{err}
	}
	return nil
}

// readRun is how many consecutive files one reader reads. Most of them are in the same directory,
// which stays open.
const readRun = 32

// fill reads files, or only their start. It reads up to threads files in parallel; 0 means the
// number of cores.
func (r *reading) fill(ctx context.Context, files []int, start bool) error {
	if len(files) == 0 {
		return nil
	}
	if err := r.open(ctx); err != nil {
		return err
	}
	var next atomic.Int64
	workers, ctx := errgroup.WithContext(ctx)
	for range min(r.threads(), (len(files)+readRun-1)/readRun) {
		workers.Go(func() error {
			in := &fileReader{Reader: r.src.NewReader(), all: r.all, sha: sha256.New()}
			err := func() error {
				for {
					from := int(next.Add(readRun)) - readRun
					if from >= len(files) {
						return nil
					}
					for _, i := range files[from:min(from+readRun, len(files))] {
						if err := in.fill(ctx, &r.digests.read[i], r.files[i], start); err != nil {
							return err
						}
					}
				}
			}()
			return errors.Join(err, in.Close())
		})
	}
	if err := workers.Wait(); err != nil {
		return &ContentsError{err}
	}
	return nil
}

// threads returns the number of files to read in parallel.
func (r *reading) threads() int {
	if r.opt.Threads > 0 {
		return r.opt.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// fileReader reads one file after another.
type fileReader struct {
	Reader
	all      bool      // set digests that are not in the stream
	compared io.Writer // if not nil, it receives the contents of files, and may refuse them
	hash     contentid.File
	sha      hash.Hash
	digest   bool // compute the digest of the current file
	header   [pyc.HeaderSize]byte
	n        int // number of header bytes read
}

// Write receives the contents of a file.
func (r *fileReader) Write(p []byte) (int, error) {
	r.n += copy(r.header[r.n:], p)
	switch {
	case r.compared != nil:
		return r.compared.Write(p)
	case r.digest:
		r.sha.Write(p)
	}
	return len(p), nil
}

// fill reads a file, or only its start.
func (r *fileReader) fill(ctx context.Context, d *fileDigest, f *format.File, start bool) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.n, r.digest = 0, r.all && !f.Digest.Known()
	if start {
		r.n, err = r.ReadStart(f, r.header[:])
	} else {
		err = r.hashFile(ctx, d, f)
	}
	if errors.Is(err, fs.ErrPermission) {
		d.closed = true
		return nil
	}
	if pyc.Is(f.Path) {
		d.pyTime, d.timed = pyc.Time(r.header[:r.n])
	}
	return err
}

// hashFile reads a file and hashes it.
func (r *fileReader) hashFile(ctx context.Context, d *fileDigest, f *format.File) error {
	if r.digest {
		r.sha.Reset()
	}
	n, err := r.WriteFile(ctx, r.hash.To(r), f)
	switch {
	case err != nil:
		return err
	case n != f.Size:
		return fmt.Errorf("reading %q: got %d bytes, expected %d", f.Path, n, f.Size)
	}
	d.sum, d.hashed = r.hash.Sum(), true
	if r.digest {
		f.Digest = format.NewDigest([sha256.Size]byte(r.sha.Sum(nil)))
	}
	return nil
}
