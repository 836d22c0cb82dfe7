package pack

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"chunkah/format"
	"chunkah/lib/interrupt"
	"chunkah/lib/layer"
)

// Tar is the tar of a layer of the previous image.
type Tar interface {
	io.ReadCloser
	// Proven is called after the whole tar was read, if its digest is the layer's diffID.
	Proven()
}

// compareLayers compares files with the tars of the previous image's layers. Without it, the files
// would be hashed here, and the tars of kept layers would be hashed when they are kept. Hashing
// takes much longer than comparing, so only the tars are hashed here. A file that is equal to a
// layer's entry has the digest in the entry's record. All other files remain without a digest.
func (r *reading) compareLayers(ctx context.Context, files []int) error {
	jobs := r.comparable()
	if len(jobs) == 0 || len(files) == 0 {
		return nil
	}
	if err := r.open(ctx); err != nil {
		return err
	}
	claims := make([]atomic.Bool, len(r.files)) // set if a file is not to be compared any more
	for i := range claims {
		claims[i].Store(true)
	}
	for _, i := range files {
		claims[i].Store(r.files[i].Digest.Known())
	}
	var next atomic.Int64
	workers, ctx := errgroup.WithContext(ctx)
	for range min(r.threads(), len(jobs)) {
		workers.Go(func() error {
			c := &comparison{reading: r, claims: claims, sum: sha256.New(), buf: make([]byte, tarBuffer)}
			c.file = &fileReader{Reader: r.src.NewReader(), compared: c}
			var err error
			for n := next.Add(1) - 1; n < int64(len(jobs)) && err == nil; n = next.Add(1) - 1 {
				err = c.compare(ctx, jobs[n])
			}
			return errors.Join(err, c.file.Close())
		})
	}
	if err := workers.Wait(); err != nil {
		return &ContentsError{err}
	}
	return nil
}

// comparable returns the layers that files can be compared with, the largest first.
func (r *reading) comparable() (list []*ImageLayer) {
	if r.opt.PreviousImage == nil {
		return nil
	}
	sizes := make(map[*ImageLayer]int64)
	for i := range r.opt.PreviousImage.Layers {
		if l := &r.opt.PreviousImage.Layers[i]; l.Open != nil {
			list = append(list, l)
			for f := range l.Files.All() {
				sizes[l] += f.Size
			}
		}
	}
	slices.SortStableFunc(list, func(a, b *ImageLayer) int { return cmp.Compare(sizes[b], sizes[a]) })
	return list
}

// tarBuffer is the number of bytes per read of a tar. They stay in the second-level cache while
// they are hashed and compared.
const tarBuffer = 128 << 10

// comparison compares a tar with the tar that its entries would have with the contents of the root.
// It is the writer that receives the latter.
type comparison struct {
	*reading
	claims []atomic.Bool
	file   *fileReader
	sum    hash.Hash // of the tar
	buf    []byte

	in    io.Reader
	rest  []byte // bytes in buf that are not yet compared
	done  int64  // bytes of the tar that were compared or skipped
	at    int    // index of the root's file that was found last
	equal []found
	fault error // from reading a file of the root
}

// found is a file of the root that is equal to a layer's entry.
type found struct {
	file   *format.File
	digest format.Digest // of the entry
}

// errDiffers means that the tars differ, or that the layer's tar cannot be read. It ends the
// comparison of a file, or of the whole tar if the tar was not written as package layer writes it.
var errDiffers = errors.New("the tars differ")

// compare compares files with one layer. A layer that cannot be read is ignored here: if it is
// kept, package write reports it.
func (c *comparison) compare(ctx context.Context, l *ImageLayer) error {
	in, err := l.Open(ctx)
	if err != nil {
		return nil
	}
	defer in.Close()
	c.sum.Reset()
	c.in, c.rest, c.done, c.at, c.equal, c.fault = interrupt.Reader(ctx, in), nil, 0, 0, c.equal[:0], nil
	err = layer.WriteOf(ctx, c, l.Files.All(), c)
	if c.fault != nil || ctx.Err() != nil {
		return cmp.Or(c.fault, context.Cause(ctx))
	}
	if err != nil || c.skip(1) != io.EOF || "sha256:"+hex.EncodeToString(c.sum.Sum(nil)) != l.DiffID {
		return nil
	}
	in.Proven()
	for _, f := range c.equal {
		f.file.Digest = f.digest
	}
	return nil
}

// Write compares the next bytes of the tar. It does not return errors from reading the tar, because
// the caller would take them for errors from reading the root's file.
func (c *comparison) Write(p []byte) (n int, err error) {
	for n < len(p) {
		if c.fill() != nil {
			return n, errDiffers
		}
		m := min(len(p)-n, len(c.rest))
		if !bytes.Equal(p[n:n+m], c.rest[:m]) {
			return n, errDiffers
		}
		n += m
		c.took(m)
	}
	return n, nil
}

// skip skips the next bytes of the tar.
func (c *comparison) skip(n int64) error {
	for n > 0 {
		if err := c.fill(); err != nil {
			return err
		}
		m := min(n, int64(len(c.rest)))
		n -= m
		c.took(int(m))
	}
	return nil
}

func (c *comparison) took(n int) { c.rest, c.done = c.rest[n:], c.done+int64(n) }

// fill reads more of the tar if everything that was read is compared.
func (c *comparison) fill() error {
	for len(c.rest) == 0 {
		n, err := c.in.Read(c.buf)
		c.sum.Write(c.buf[:n])
		if c.rest = c.buf[:n]; n == 0 && err != nil {
			return err
		}
	}
	return nil
}

// WriteFile implements layer.Content. It compares the contents of an entry with the root's file.
func (c *comparison) WriteFile(ctx context.Context, _ io.Writer, entry *format.File) (int64, error) {
	end := c.done + entry.Size
	if i := c.claim(entry); i >= 0 {
		f, d := c.files[i], &c.digests.read[i]
		err := c.file.fill(ctx, d, f, false)
		switch {
		case errors.Is(err, errDiffers):
		case err != nil:
			c.fault = err
			return 0, err
		case !d.closed:
			c.equal = append(c.equal, found{f, entry.Digest})
		}
	}
	return entry.Size, c.skip(end - c.done)
}

// claim returns the index of the root's file that is to be compared with an entry, or -1. Each file
// is compared only once.
func (c *comparison) claim(entry *format.File) int {
	if entry.Size == 0 || !entry.Digest.Known() {
		return -1
	}
	i := c.search(entry.Path)
	if i < 0 || c.files[i].Type != format.TypeFile || c.files[i].Size != entry.Size || c.claims[i].Swap(true) {
		return -1
	}
	return i
}

// search returns the index of a path after the path that was found last, or -1. It starts there
// because consecutive entries are usually close to each other in the root.
func (c *comparison) search(path string) int {
	step := 1
	for c.at+step < len(c.files) && format.ComparePaths(c.files[c.at+step].Path, path) < 0 {
		c.at, step = c.at+step, 2*step
	}
	n, is := slices.BinarySearchFunc(c.files[c.at:min(len(c.files), c.at+step+1)], path, func(f *format.File, path string) int {
		return format.ComparePaths(f.Path, path)
	})
	if c.at += n; !is {
		c.at = min(c.at, len(c.files)-1)
		return -1
	}
	return c.at
}
