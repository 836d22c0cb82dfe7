package oci

import (
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
)

// Tail is the place of a blob at the end of an archive that is being written, for a blob whose digest and size its bytes
// will tell. Until Commit nothing else of the archive may be called.
type Tail struct {
	a      *Archive
	header int64 // where the blob's header goes, in the file
	size   int64 // written so far
	most   int64
	writeback
}

// Append starts a blob of at most so many bytes. It returns nil where the archive is not a file that can be written in
// any order, or where the header's own size depends on the blob's: such a blob is to be written by Blob.
func (a *Archive) Append(most int64) (*Tail, error) {
	var t *Tail
	err := a.do(func() error {
		f, ok := anyOrder(a.w)
		if !ok || most > maxUstar {
			return nil
		}
		if err := a.dirs(); err != nil {
			return err
		}
		header, err := f.Seek(0, io.SeekCurrent)
		if err == nil {
			_, err = f.Seek(blockSize, io.SeekCurrent)
		}
		t = &Tail{a: a, header: header, most: most, writeback: writeback{f, header}}
		return err
	})
	return t, err
}

// Write writes the next bytes of the blob.
func (t *Tail) Write(p []byte) (int, error) {
	if int64(len(p)) > t.most-t.size {
		return 0, errTooLong
	}
	n, err := t.file.Write(p)
	return n, t.wrote(int64(n), err)
}

// ReadFrom writes what r has, and leaves that to the kernel where r is a file.
func (t *Tail) ReadFrom(r io.Reader) (int64, error) {
	room := t.most - t.size
	n, err := copyFrom(t.file, r, room+1)
	if err == nil && n > room {
		err = errTooLong
	}
	return n, t.wrote(n, err)
}

func (t *Tail) wrote(n int64, err error) error {
	t.size += n
	t.reached(t.header + blockSize + t.size)
	if err != nil {
		return fmt.Errorf("writing archive %q: %w", t.a.name, bare(err))
	}
	return nil
}

// Commit completes the blob: d and size are the digest and the number of bytes of what was to be written.
func (t *Tail) Commit(d digest.Digest, size int64) error {
	return t.a.do(func() error {
		if t.size != size {
			return fmt.Errorf("writing blob %q: %d bytes are there, of %d", d, t.size, size)
		}
		header, err := blobHeader(d, t.size)
		if err != nil {
			return err
		}
		t.a.blobs[d] = t.size
		if _, err := t.file.WriteAt(header, t.header); err != nil {
			return err
		}
		_, err = t.file.Write(make([]byte, -t.size&(blockSize-1)))
		return err
	})
}
