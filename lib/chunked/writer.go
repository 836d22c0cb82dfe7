package chunked

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"hash/crc64"
	"io"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/compress"
	"chunkah/lib/layer"
	"chunkah/lib/tarsplit"
)

// A Writer writes a tar as zstd:chunked. It is also the layer.Observer of the tar that is written
// to it. The files in the tar must have no [Obstacle]. The blob is complete once Close has returned
// nil. Only one goroutine can use it. Like a compress.Writer, it can be dropped without Close.
type Writer struct {
	out    counter
	frames *compress.FrameWriter
	// newTable returns a table that is compressed in memory.
	newTable func() (*table, error)

	split     *tarsplit.Writer
	splitOut  *table
	segment   []byte // bytes of the tar since the last line of tar-split
	items     []item
	open      bool // the last item has no line in tar-split yet
	tocBytes  int64
	positions *Positions

	contents bool // the bytes being written are contents of the last item
	whole    bool // the contents are one chunk
	cutter   cutter
	sum      hash.Hash // hash of the file
	crc      hash.Hash64
	part     hash.Hash // hash of the chunk
	length   int64     // bytes in the chunk
}

// crcTable is the table that tar-split uses.
var crcTable = crc64.MakeTable(crc64.ISO)

// NewWriter returns a writer that compresses to w with the workers of a pool, like
// [compress.Pool.NewWriter].
func NewWriter(ctx context.Context, pool *compress.Pool, w io.Writer, s compress.Settings, rank int) (*Writer, error) {
	z := &Writer{out: counter{w: w}, sum: sha256.New(), crc: crc64.New(crcTable), part: sha256.New()}
	z.newTable = func() (*table, error) {
		t := &table{}
		var err error
		t.FrameWriter, err = pool.NewFrameWriter(ctx, &t.data, s, rank) // all its buffers have the same size
		return t, err
	}
	var err error
	if z.frames, err = pool.NewFrameWriter(ctx, &z.out, s, rank); err != nil {
		return nil, err
	}
	z.splitOut, err = z.newTable()
	z.split = tarsplit.NewWriter(z.splitOut)
	z.cutter = cutter{sink: z}
	return z, err
}

// Entry implements layer.Observer.
func (z *Writer) Entry(e layer.Entry) error {
	z.finishEntry()
	z.items = append(z.items, item{Entry: e})
	z.tocBytes += entrySize(e.Name, e.Link, e.Xattrs)
	z.open = true
	return z.split.Err()
}

// finishEntry writes the lines for an entry without contents.
func (z *Writer) finishEntry() {
	if z.open {
		z.endSegment()
		z.split.File(z.last().Name, 0, nil)
		z.open = false
	}
}

func (z *Writer) endSegment() {
	z.split.Segment(z.segment)
	z.segment = z.segment[:0]
}

func (z *Writer) last() *item { return &z.items[len(z.items)-1] }

// Contents implements layer.Observer.
func (z *Writer) Contents() (err error) {
	z.endSegment()
	z.sum.Reset()
	z.crc.Reset()
	z.part.Reset()
	z.cutter.reset()
	z.contents, z.open, z.length = true, false, 0
	z.whole = z.last().Size < wholeSize || z.full()
	z.last().first, err = z.frames.EndFrame()
	return err
}

// End implements layer.Observer.
func (z *Writer) End() error {
	z.contents = false
	var err error
	if z.whole {
		err = z.endChunk(false)
	} else {
		err = z.cutter.end()
	}
	if err != nil {
		return err
	}
	i := z.last()
	z.sum.Sum(i.sum[:0])
	z.split.File(i.Name, i.Size, z.crc.Sum(nil))
	return z.split.Err()
}

// Write implements io.Writer.
func (z *Writer) Write(p []byte) (int, error) {
	if !z.contents {
		z.segment = append(z.segment, p...)
		return z.frames.Write(p)
	}
	z.sum.Write(p)
	z.crc.Write(p)
	if z.whole {
		z.length += int64(len(p))
		return z.frames.Write(p)
	}
	return z.cutter.Write(p)
}

// piece implements chunkSink.
func (z *Writer) piece(p []byte) error {
	z.length += int64(len(p))
	z.part.Write(p)
	_, err := z.frames.Write(p)
	return err
}

// endChunk implements chunkSink.
func (z *Writer) endChunk(zeros bool) error {
	i := z.last()
	n, err := z.frames.EndFrame()
	c := chunk{size: z.length, last: n, zeros: zeros}
	z.part.Sum(c.sum[:0])
	z.part.Reset()
	z.length = 0
	if i.chunks = append(i.chunks, c); len(i.chunks) > 1 {
		z.tocBytes += chunkSize(i.Name)
	}
	return err
}

// full implements chunkSink.
func (z *Writer) full() bool { return z.tocBytes > fullTOC }

// Close completes the blob. It does not close the underlying writer.
func (z *Writer) Close() error {
	z.finishEntry()
	z.endSegment()
	if z.split.Err() != nil {
		return z.split.Err()
	}
	if err := z.frames.Close(); err != nil {
		return err
	}
	if err := z.splitOut.Close(); err != nil {
		return err
	}
	toc, err := z.newTable()
	if err != nil {
		return err
	}
	if err := writeTOC(toc, z.items, z.frames.Ends(), digest.FromBytes(z.splitOut.data.Bytes())); err != nil {
		return err
	}
	if err := toc.Close(); err != nil {
		return err
	}
	p := &Positions{Digest: digest.FromBytes(toc.data.Bytes())}
	if p.toc, err = z.skippable(toc.data.Bytes()); err != nil {
		return err
	}
	if p.split, err = z.skippable(z.splitOut.data.Bytes()); err != nil {
		return err
	}
	p.toc.unpacked, p.split.unpacked = toc.size, z.splitOut.size
	if _, err := z.skippable(p.footer()); err != nil {
		return err
	}
	z.positions = p
	return p.check(z.out.n)
}

// skippable writes a skippable frame, and returns the position of its contents.
func (z *Writer) skippable(data []byte) (region, error) {
	if _, err := io.WriteString(&z.out, skippableHeader(int64(len(data)))); err != nil {
		return region{}, err
	}
	at := region{offset: z.out.n, size: int64(len(data))}
	_, err := z.out.Write(data)
	return at, err
}

// Positions returns the positions of the tables. It must be called after Close.
func (z *Writer) Positions() *Positions { return z.positions }

// table is a table that is compressed in memory.
type table struct {
	*compress.FrameWriter
	data bytes.Buffer
	size int64 // before compression
}

func (t *table) Write(p []byte) (int, error) {
	n, err := t.FrameWriter.Write(p)
	t.size += int64(n)
	return n, err
}

// counter counts the bytes that are written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
