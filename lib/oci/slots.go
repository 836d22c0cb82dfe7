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

// Slot is the place of a blob in an archive that is being written, for a blob of known size whose digest its bytes will
// tell. Different slots may be written at the same time.
type Slot struct {
	a      *Archive
	header int64 // where the blob's header goes, in the file
	at     int64 // where its next byte goes
	end    int64 // where its last byte ends
	size   int64
	writeback
}

// Reserve sets places aside for blobs of these sizes, one after the other. It returns nil where the archive is not
// a file that can be written in any order: those are to be written by Blob. Every slot has to be committed, or the
// archive aborted.
func (a *Archive) Reserve(sizes []int64) ([]*Slot, error) {
	var slots []*Slot
	err := a.do(func() error {
		f, ok := anyOrder(a.w)
		if !ok {
			return nil
		}
		if err := a.dirs(); err != nil {
			return err
		}
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		for _, size := range sizes {
			header, err := blobHeader(unknownDigest, size)
			if err != nil {
				return err
			}
			s := &Slot{a: a, header: at, at: at + int64(len(header)), size: size, writeback: writeback{f, at}}
			s.end = s.at + size
			at = s.end + (-size & (blockSize - 1))
			slots = append(slots, s)
		}
		if _, err = f.Seek(at, io.SeekStart); err != nil {
			return fmt.Errorf("setting %d bytes aside: %w", at, bare(err))
		}
		return nil
	})
	return slots, err
}

// unknownDigest stands in for a digest: all are as long.
var unknownDigest = digest.NewDigestFromEncoded(digest.SHA256, strings.Repeat("0", 64))

// anyOrder returns the file that w is, if it takes bytes in any order.
func anyOrder(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	if !ok {
		return nil, false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_APPEND != 0 {
		return nil, false
	}
	_, err = f.Seek(0, io.SeekCurrent)
	return f, err == nil
}

// Write writes the next bytes of the blob.
func (s *Slot) Write(p []byte) (int, error) {
	if int64(len(p)) > s.end-s.at {
		return 0, errTooLong
	}
	n, err := s.file.WriteAt(p, s.at)
	if s.at += int64(n); s.at == s.end {
		s.complete(s.end) // many small blobs would leave much for the end
	}
	s.reached(s.at)
	if err != nil {
		return n, fmt.Errorf("writing archive %q: %w", s.a.name, bare(err))
	}
	return n, nil
}

// Commit completes the blob once all its bytes are written: d is their digest. It must not be called at the same time as
// another method of the archive.
func (s *Slot) Commit(d digest.Digest) error {
	return s.a.do(func() error {
		if s.at != s.end {
			return fmt.Errorf("writing blob %q: %d bytes are missing", d, s.end-s.at)
		}
		header, err := blobHeader(d, s.size)
		if err != nil {
			return err
		}
		s.a.blobs[d] = s.size
		if _, err := s.file.WriteAt(header, s.header); err != nil {
			return err
		}
		_, err = s.file.WriteAt(make([]byte, -s.size&(blockSize-1)), s.end)
		return err
	})
}

// blobHeader is what stands in front of a blob.
func blobHeader(d digest.Digest, size int64) ([]byte, error) {
	var buf bytes.Buffer
	err := writeHeader(&buf, blobName(d), size)
	return buf.Bytes(), err
}
