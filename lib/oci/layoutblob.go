package oci

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/regular"
)

// has reports whether the layout has the complete blob. It hashes the blob, unless its file is
// still as in verified.
func (l *Layout) has(d v1.Descriptor, verified fs.FileInfo) (bool, error) {
	if l.hasComplete(d.Digest) {
		return true, nil
	}
	f, err := regular.Open(filepath.Join(l.dir, blobName(d.Digest)))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, regular.ErrNot) {
		return false, nil // any other file at this path is replaced
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() != d.Size {
		return false, nil
	}
	if verified != nil && regular.Unchanged(verified, info) {
		return true, nil
	}
	got, err := digest.SHA256.FromReader(f)
	return got == d.Digest, err
}

// hasComplete reports whether the blob is complete but not yet renamed.
func (l *Layout) hasComplete(d digest.Digest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.complete, func(b *layoutBlob) bool { return b.digest == d })
}

// maxComplete is the largest number of complete blobs that are not yet renamed. Each is an open
// file, because the open file is the blob's lock, and a process can open only a limited number of
// files, often 1024. An image of usual size contains fewer layers.
const maxComplete = 128

// layoutBlob is a blob with a temporary name. A complete blob keeps this name until it is synced
// together with other blobs.
type layoutBlob struct {
	layout *Layout
	f      *os.File
	size   int64
	digest digest.Digest // of a complete blob
	err    error
	writeback
}

// NewBlob implements Destination. Blobs can be written concurrently.
func (l *Layout) NewBlob(int64, bool) (BlobWriter, error) {
	b, err := l.newBlob()
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (l *Layout) newBlob() (*layoutBlob, error) {
	if err := l.state(); err != nil {
		return nil, err
	}
	f, err := createTemp(filepath.Join(l.dir, blobsDir))
	if err != nil {
		return nil, l.fail(err)
	}
	b := &layoutBlob{layout: l, f: f, writeback: writeback{file: f}}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.temps[b] = true
	return b, nil
}

// Write implements io.Writer.
func (b *layoutBlob) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := rawBlob{b}.Write(p)
	b.err = b.layout.fail(withoutTempName(err))
	return n, b.err
}

// rawBlob writes to a blob whose caller handles errors.
type rawBlob struct{ *layoutBlob }

func (b rawBlob) Write(p []byte) (int, error) {
	n, err := b.f.Write(p)
	b.size += int64(n)
	b.reached(b.size)
	return n, err
}

// Commit implements BlobWriter.
func (b *layoutBlob) Commit(d digest.Digest, size int64) error {
	if b.err != nil {
		return errors.Join(b.err, b.Discard())
	}
	if b.size != size {
		return b.layout.fail(errors.Join(sizeError(d, b.size, size), b.Discard()))
	}
	return b.layout.fail(b.finish(d))
}

// Discard implements BlobWriter.
func (b *layoutBlob) Discard() error {
	if !b.forget() {
		return nil
	}
	_ = b.f.Close() // the contents do not matter any more
	return os.Remove(b.f.Name())
}

// finish ends the blob. The blob gets its final name later, because syncing many files costs little
// more than syncing one.
func (b *layoutBlob) finish(d digest.Digest) error {
	if !b.forget() {
		return errBlobDone
	}
	b.err, b.digest = errBlobDone, d
	b.complete(b.size)
	return b.layout.addComplete(b)
}

// addComplete adds a complete blob.
func (l *Layout) addComplete(b *layoutBlob) error {
	l.mu.Lock()
	l.complete = append(l.complete, b)
	full := len(l.complete) >= maxComplete
	l.mu.Unlock()
	if !full {
		return nil
	}
	return l.nameBlobs()
}

// nameBlobs syncs all complete blobs and gives them their final names.
func (l *Layout) nameBlobs() error {
	l.naming.Lock()
	defer l.naming.Unlock()
	l.mu.Lock()
	blobs := slices.Clone(l.complete)
	l.mu.Unlock()
	for _, b := range blobs {
		if err := b.f.Sync(); err != nil {
			return withoutTempName(err)
		}
	}
	for _, b := range blobs {
		err := l.name(b.digest, func(path string) error { return os.Rename(b.f.Name(), path) })
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.complete = l.complete[1:] // blobs are appended, and removed here only
		l.mu.Unlock()
		_ = b.f.Close() // it was synced
	}
	return nil
}

// removeComplete removes the complete blobs that are not yet renamed.
func (l *Layout) removeComplete() (errs []error) {
	for _, b := range l.complete {
		_ = b.f.Close() // the contents do not matter any more
		errs = append(errs, os.Remove(b.f.Name()))
	}
	l.complete = nil
	return errs
}

// moveBlob moves a blob from a synced file on the same file system.
func (l *Layout) moveBlob(file string, d digest.Digest) error {
	return l.name(d, func(path string) error { return os.Rename(file, path) })
}

// name calls put to create the blob at its path, and records the path if it is new.
func (l *Layout) name(d digest.Digest, put func(path string) error) error {
	path := filepath.Join(l.dir, blobName(d))
	_, err := os.Lstat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err := put(path); err != nil {
		return err
	}
	if isNew {
		l.recordCreated(path)
	}
	return nil
}

// forget removes the blob from the list of unfinished blobs. It reports whether the blob was in the
// list.
func (b *layoutBlob) forget() bool {
	l := b.layout
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := l.temps[b]
	delete(l.temps, b)
	return ok
}
