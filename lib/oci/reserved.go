package oci

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// reservedEntry is space reserved for a blob in an archive file. Its header, which contains the
// digest, is written last. Different entries can be written concurrently.
type reservedEntry struct {
	a      *Archive
	header int64 // offset of the blob's header in the file
	start  int64 // offset of the blob's first byte
	at     int64 // offset of the next byte to write
	end    int64 // offset of the blob's end, or of its last possible end if the entry is open
	open   bool  // the size is known only at the end: until then this is the last entry
	writeback
}

// NewBlob implements Destination. Every blob must be committed, or the archive discarded. The
// header is reserved before the size of an open blob is known, so the size must fit into an
// ordinary header.
func (a *Archive) NewBlob(size int64, open bool) (BlobWriter, error) {
	if a.random == nil || open && size > maxUstar {
		return nil, nil
	}
	e := &reservedEntry{a: a, open: open}
	err := a.do(func() error {
		if err := a.dirs(); err != nil {
			return err
		}
		header, err := blobHeader(unknownDigest, size)
		if err != nil {
			return err
		}
		if e.header, err = a.random.Seek(0, io.SeekCurrent); err != nil {
			return err
		}
		e.start = e.header + int64(len(header))
		e.at, e.end, e.writeback = e.start, e.start+size, writeback{a.random, e.header}
		if open {
			return nil
		}
		return e.skip()
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// skip moves the file's offset past the entry.
func (e *reservedEntry) skip() error {
	next := e.end + e.padding()
	if _, err := e.file.Seek(next, io.SeekStart); err != nil {
		return fmt.Errorf("reserving %d bytes: %w", next, withoutTempName(err))
	}
	return nil
}

// padding is the number of zeros after the blob.
func (e *reservedEntry) padding() int64 { return (e.start - e.end) & (blockSize - 1) }

// unknownDigest is a placeholder for a digest. All digests have the same length.
var unknownDigest = digest.NewDigestFromEncoded(digest.SHA256, strings.Repeat("0", 64))

// anyOrder returns w as a file if it supports writes in any order, or else nil.
func anyOrder(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_APPEND != 0 {
		return nil
	}
	if _, err = f.Seek(0, io.SeekCurrent); err != nil {
		return nil
	}
	return f
}

// Write implements io.Writer.
func (e *reservedEntry) Write(p []byte) (int, error) {
	if int64(len(p)) > e.end-e.at {
		return 0, errTooLong
	}
	n, err := e.file.WriteAt(p, e.at)
	return n, e.wrote(int64(n), err)
}

// ReadFrom implements io.ReaderFrom. If r is a file, the kernel copies it. ReadFrom uses the file's
// offset. Nothing else uses the offset while an open entry is the last entry, because other entries
// are written only with Write.
func (e *reservedEntry) ReadFrom(r io.Reader) (n int64, err error) {
	if !e.open {
		return io.Copy(struct{ io.Writer }{e}, r)
	}
	if _, err = e.file.Seek(e.at, io.SeekStart); err == nil {
		n, err = copyFrom(e.file, r, e.end-e.at+1)
	}
	if err == nil && n > e.end-e.at {
		err = errTooLong
	}
	return n, e.wrote(n, err)
}

func (e *reservedEntry) wrote(n int64, err error) error {
	if e.at += n; e.at == e.end {
		e.complete(e.end) // otherwise many small blobs would leave a lot to sync at the end
	}
	e.reached(e.at)
	if err != nil {
		return fmt.Errorf("writing archive %q: %w", e.a.name, withoutTempName(err))
	}
	return nil
}

// Commit implements BlobWriter. It must not be called concurrently with another method of the
// archive.
func (e *reservedEntry) Commit(d digest.Digest, size int64) error {
	return e.a.do(func() error {
		if e.open {
			e.end = e.at
		}
		if e.at != e.end || e.at-e.start != size {
			return sizeError(d, e.at-e.start, size)
		}
		header, err := blobHeader(d, size)
		if err != nil {
			return err
		}
		e.a.blobs[d] = size
		if _, err := e.file.WriteAt(header, e.header); err != nil {
			return err
		}
		if _, err := e.file.WriteAt(make([]byte, e.padding()), e.end); err != nil || !e.open {
			return err
		}
		return e.skip()
	})
}

// Discard implements BlobWriter. It does nothing, because an archive is discarded with all its
// entries.
func (e *reservedEntry) Discard() error { return nil }

// sizeError returns the error for a blob that does not have its declared size.
func sizeError(d digest.Digest, got, want int64) error {
	return fmt.Errorf("writing blob %q: has %d of %d bytes", d, got, want)
}

// blobHeader returns the tar header of a blob.
func blobHeader(d digest.Digest, size int64) ([]byte, error) {
	var buf bytes.Buffer
	err := writeHeader(&buf, blobName(d), size)
	return buf.Bytes(), err
}
