package write

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// copyBuffer is the number of bytes of one read: large enough that system calls
// do not count, small enough to stay in the second-level cache.
const copyBuffer = 256 << 10

// castagnoli has an instruction on amd64 and arm64: the checksum costs a
// fraction of the read.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// proof is what a first read leaves behind for a second one to agree with.
type proof struct {
	ino       uint64
	ctime     int64 // moves with whatever changes
	ctimeNsec int32
	sum       uint32
}

// contents reads the files of one layer: layer.Content. It keeps the last
// directory open, since files come in the order of a walk.
type contents struct {
	root *rootfs.Root
	dir  *rootfs.Dir
	buf  []byte
	// proofs, by the file's index in its layer: filled where record is set,
	// compared where it is not. Nil asks for none.
	proofs []proof
	record bool
}

func newContents(root *rootfs.Root) *contents {
	return &contents{root: root, buf: make([]byte, copyBuffer)}
}

func (c *contents) close() {
	if c.dir != nil {
		c.dir.Close()
		c.dir = nil
	}
}

// errChanged says that a file did not hold still.
var errChanged = errors.New("it changed while it was read: nothing may write to the root meanwhile")

// WriteFile implements layer.Content.
func (c *contents) WriteFile(w io.Writer, index int, f *format.File) (int64, error) {
	in, err := c.open(f.Path)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	before, err := in.Stat()
	if err != nil {
		return 0, err
	}
	if before.Size != f.Size {
		return 0, fmt.Errorf("reading %q: %d bytes where the stream says %d: %w", f.Path, before.Size, f.Size, errChanged)
	}
	n, sum, err := c.copy(w, in, f.Size)
	if err != nil {
		return n, err
	}
	after, err := in.Stat()
	if err != nil {
		return n, err
	}
	if n != f.Size || !after.Same(before) {
		return n, fmt.Errorf("reading %q: %w", f.Path, errChanged)
	}
	return n, c.prove(index, f, proof{after.Ino, after.CTime, after.CTimeNsec, sum})
}

// prove records or compares what was read.
func (c *contents) prove(index int, f *format.File, p proof) error {
	switch {
	case c.proofs == nil:
	case c.record:
		c.proofs[index] = p
	case c.proofs[index] != p:
		return fmt.Errorf("reading %q again: %w", f.Path, errChanged)
	}
	return nil
}

// copy copies up to one byte more than size, so that a file that grew shows.
func (c *contents) copy(w io.Writer, in *rootfs.File, size int64) (n int64, sum uint32, err error) {
	for n < size {
		m, err := in.Read(c.buf[:min(int64(len(c.buf)), size-n)])
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, sum, err
		}
		if c.proofs != nil {
			sum = crc32.Update(sum, castagnoli, c.buf[:m])
		}
		if _, err := w.Write(c.buf[:m]); err != nil {
			return n, sum, err
		}
		n += int64(m)
	}
	return n, sum, nil
}

func (c *contents) open(path string) (*rootfs.File, error) {
	if c.root == nil {
		return nil, fmt.Errorf("reading %q: the stream does not say below which root: name it with --rootfs", path)
	}
	parent := format.Parent(path)
	if c.dir == nil || c.dir.Path() != parent {
		c.close()
		dir, err := c.root.OpenDir(parent)
		if err != nil {
			return nil, err
		}
		c.dir = dir
	}
	return c.dir.OpenFile(path[len(path)-nameLen(path):])
}

// nameLen is the length of a path's last element.
func nameLen(path string) int {
	n := 0
	for path[len(path)-1-n] != '/' {
		n++
	}
	return n
}
