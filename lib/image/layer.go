package image

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"sync/atomic"

	"chunkah/lib/interrupt"
	"chunkah/lib/metrics"
)

// budget limits the total size of all layers of a tree.
type budget struct {
	bytes, metadata atomic.Int64 // still available
	max             int64
}

func newBudget(maxBytes int64) *budget {
	b := &budget{max: maxBytes}
	b.bytes.Store(maxBytes)
	b.metadata.Store(maxMetadata)
	return b
}

// unpacked subtracts n bytes of contents from the budget.
func (b *budget) unpacked(n int64) error {
	if b.bytes.Add(-n) < 0 {
		return fmt.Errorf("all layers contain more than %d bytes in total, the limit for an image", b.max)
	}
	return nil
}

// entry subtracts one entry from the budget. text is the number of bytes in its strings.
func (b *budget) entry(text int) error {
	if b.metadata.Add(-int64(entryCost+text)) < 0 {
		return fmt.Errorf("the metadata of all layers is larger than %d bytes in total", int64(maxMetadata))
	}
	return nil
}

// sparse subtracts a sparse file from the budget, and from its layer's limit for sparse files.
func (r *layerReader) sparse(size int64) error {
	if r.holes += size; r.holes > times(freeSparse, r.blob.size()) {
		return fmt.Errorf("is sparse with a size of %d bytes: the sparse files of this layer are larger than %d bytes and %d times the layer: leave this file out of the image, or store it without holes",
			size, int64(freeSparse), maxRatio)
	}
	return r.budget.unpacked(size)
}

// layerReader reads the tar entries of one layer.
type layerReader struct {
	layer    *layer
	budget   *budget
	dir      string // directory for spools
	sums     bool   // sums are stored instead of contents
	see      func(int, *tar.Header, [sha256.Size]byte)
	store    Store
	work     *metrics.Work
	observer observer
	ordinal  uint16
	// unpacker belongs to the worker and is reused.
	unpacker *unpacker

	blob    *verified
	packed  bool
	bytes   int64 // decompressed
	holes   int64 // bytes of sparse files
	inPlace bool
	rootTar bool
	ahead   *ahead // nil for plain layers
	tar     counter
	spool   *spooled
	entries []entry
	hash    hash.Hash // reused for each file
	buf     []byte
}

// readLayer reads a layer of an image once, from start to end, and verifies its digests.
func (r *layerReader) readLayer(ctx context.Context, img *Image, index int) ([]entry, error) {
	l := img.Layers[index]
	if l.Descriptor.Size > r.budget.max {
		return nil, fmt.Errorf("is %d bytes, above the limit of %d", l.Descriptor.Size, r.budget.max)
	}
	in, err := img.fetch.Blob(ctx, l.Descriptor)
	if err != nil {
		return nil, err
	}
	defer func() {
		if !r.inPlace {
			in.Close()
		}
	}()
	if img.rootTar {
		r.blob = newUnverified(ctx, in, l.Descriptor)
	} else if r.blob, err = newVerified(ctx, in, l.Descriptor); err != nil {
		return nil, err
	}
	defer r.blob.close()
	r.blob.work = r.work
	r.rootTar, r.blob.whole = img.rootTar, img.rootTar || r.observer.watch != nil
	random, _ := in.(io.ReaderAt)
	if err = r.unpack(l, random != nil); err != nil {
		// A damaged layer usually cannot be parsed either. Read the rest of the layer, because a
		// digest error is more helpful.
		if l.Descriptor.Size-r.blob.read.Load() <= maxDrain {
			if wrong := r.blob.finish(); wrong != nil {
				err = wrong
			}
		}
		r.inPlace = false
		return nil, err
	}
	if r.spool != nil {
		err = r.spool.finish()
		r.layer.contents = r.spool.file
	}
	if r.inPlace {
		r.layer.closers = append(r.layer.closers, in)
		r.layer.contents = joined{random, r.layer.contents, l.Descriptor.Size}
	}
	return r.entries, err
}

// times returns free plus maxRatio times size, without overflow.
func times(free, size int64) int64 { return free + maxRatio*min(size, math.MaxInt64/2/maxRatio) }

// joined reads a blob in place, followed by contents that had to be spooled.
type joined struct {
	blob, spool io.ReaderAt
	size        int64 // size of the blob
}

func (j joined) ReadAt(p []byte, off int64) (int, error) {
	if off < j.size {
		return j.blob.ReadAt(p, off)
	}
	return j.spool.ReadAt(p, off-j.size)
}

// unpack decompresses the blob, parses the tar and verifies the digests of both.
func (r *layerReader) unpack(l Layer, random bool) error {
	buffered := bufio.NewReaderSize(r.blob, readBuffer)
	packing, err := detect(buffered)
	if err != nil {
		return err
	}
	r.observer.packing(l.Descriptor.MediaType, packing)
	in, err := r.unpacker.open(buffered, packing)
	if err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	r.packed = packing != plain
	r.inPlace = packing == plain && random && !r.sums
	unpacked := &limited{in: in, of: r}
	if l.DiffID == "" || packing == plain && l.DiffID == r.blob.want.Digest { // already verified
		r.tar.in = unpacked
		_, err := r.read()
		return err
	}
	hash := newHasher(l.DiffID.Algorithm())
	defer hash.close()
	r.ahead = newAhead(io.TeeReader(unpacked, hash))
	defer r.ahead.stop()
	r.tar.in = r.ahead
	if whole, err := r.read(); !whole || err != nil {
		return err
	}
	if got := hash.sum(); got != l.DiffID {
		return r.observer.fault("", fmt.Errorf("the tar has the diffID %q, but the config lists %q", got, l.DiffID))
	}
	return nil
}

// read parses the tar and verifies the digest of the blob. It reports whether the whole tar was
// read. If there is a watcher, it also reads the rest after a fault.
func (r *layerReader) read() (whole bool, err error) {
	err = r.parse()
	r.layer.unpacked = r.tar.read
	if whole = err == nil; !whole && r.observer.watch != nil {
		_, rest := io.Copy(io.Discard, r.tar.in)
		whole = rest == nil
	}
	if r.ahead != nil {
		r.ahead.stop()
	}
	// A damaged layer usually cannot be parsed either, and the digest error is more helpful.
	if wrong := r.blob.finish(); wrong != nil {
		err = wrong
	}
	return whole, r.observer.fault("", err)
}

// limited limits the decompressed size of a layer.
type limited struct {
	in io.Reader
	of *layerReader
}

var errRatio = fmt.Errorf("decompressing: more than %d times its size: this looks like an attack", maxRatio)

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	l.of.bytes += int64(n)
	if l.of.packed && l.of.bytes > times(freeBytes, l.of.blob.size()) {
		return 0, errRatio
	}
	if err := l.of.budget.unpacked(int64(n)); err != nil {
		return 0, err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("decompressing: %w", err)
	}
	return n, err
}

// parse reads the tar to the end of the stream.
func (r *layerReader) parse() error {
	in := tar.NewReader(&r.tar)
	last := ""
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the tar after %q: %w", last, err)
		}
		if err := r.entry(in, h); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
		last = h.Name
	}
	return r.padding()
}

// entry adds one entry of the tar.
func (r *layerReader) entry(in *tar.Reader, h *tar.Header) error {
	text := len(h.Name) + len(h.Linkname)
	for key, value := range h.PAXRecords {
		text += recordCost + len(key) + len(value)
	}
	if err := r.budget.entry(text); err != nil {
		return err
	}
	if r.rootTar {
		if err := r.rootEntry(h); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // clients ignore this entry
	}
	e, err := parseHeader(h)
	if e.kind != kindAUFS {
		r.observer.entry(h)
	}
	if err != nil {
		return r.observer.fault(h.Name, err)
	}
	sum := sha256.Sum256(nil)
	if n := e.node; n != nil {
		n.data, n.from = r.ordinal, r.ordinal
		if types[h.Typeflag] == types[tar.TypeReg] {
			if sum, err = r.contents(in, h, n); err != nil {
				return err
			}
		}
	}
	if r.see != nil && e.kind != kindAUFS {
		r.see(int(r.ordinal), h, sum)
	}
	r.entries = append(r.entries, e)
	return nil
}

// contents records the position of a file's contents, or spools the contents. It returns their hash
// if it is needed.
func (r *layerReader) contents(in *tar.Reader, h *tar.Header, n *node) (sum [sha256.Size]byte, err error) {
	n.size = h.Size
	sparse := isSparse(h)
	switch {
	case h.Size == 0:
		return sha256.Sum256(nil), nil
	case r.sums:
		n.offset = int64(len(r.layer.sums))
		sum, err = r.sum(in, h, sparse)
		r.layer.sums = append(r.layer.sums, sum)
		return sum, err
	case r.store != nil:
		return sum, r.keepStored(in, n, sparse)
	case r.inPlace && !sparse:
		n.offset = r.tar.read
		sum, err = r.sum(in, h, sparse)
		r.layer.checks = append(r.layer.checks, check{n.offset, sum})
		return sum, err
	case r.see == nil:
		return sum, r.keep(in, h, n, sparse)
	}
	hash := r.hasher()
	err = r.keep(io.TeeReader(in, hash), h, n, sparse)
	return [sha256.Size]byte(hash.Sum(nil)), err
}

// hasher returns a hasher that has been reset.
func (r *layerReader) hasher() hash.Hash {
	if r.hash == nil {
		r.hash, r.buf = sha256.New(), make([]byte, readBuffer)
	}
	r.hash.Reset()
	return r.hash
}

// sum returns the SHA-256 of a file's contents.
func (r *layerReader) sum(in io.Reader, h *tar.Header, sparse bool) (sum [sha256.Size]byte, err error) {
	if sparse {
		if err := r.sparse(h.Size); err != nil {
			return sum, err
		}
		in = interrupt.Reader(r.blob.ctx, in) // holes are not read from the blob, which checks ctx
	}
	hash := r.hasher()
	_, err = io.CopyBuffer(hash, struct{ io.Reader }{in}, r.buf)
	return [sha256.Size]byte(hash.Sum(nil)), err
}

// keep spools the contents of a file.
func (r *layerReader) keep(in io.Reader, h *tar.Header, n *node, sparse bool) (err error) {
	if r.spool == nil {
		if r.spool, err = newSpool(r.dir); err != nil {
			return err
		}
		r.layer.closers = append(r.layer.closers, r.spool)
	}
	n.offset = r.spool.size
	if r.inPlace {
		n.offset += r.blob.want.Size
	}
	var got int64
	if sparse {
		if err := r.sparse(h.Size); err != nil {
			return err
		}
		got, err = r.spool.addSparse(interrupt.Reader(r.blob.ctx, in))
	} else {
		got, err = r.spool.add(in)
	}
	if err == nil && got != h.Size {
		err = fmt.Errorf("is %d bytes, but its header specifies %d", got, h.Size)
	}
	return err
}

// padding reads the data after the end of the tar. Zeros pad the tar to a full record. Other data,
// even a second tar, is part of the digests but contains no files.
func (r *layerReader) padding() error {
	end := r.tar.read
	buf := make([]byte, 32<<10)
	zeros := true
	for {
		n, err := r.tar.Read(buf)
		zeros = zeros && allZero(buf[:n])
		if errors.Is(err, io.EOF) {
			if !zeros {
				r.layer.trailing = r.tar.read - end
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
