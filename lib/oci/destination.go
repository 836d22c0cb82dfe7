package oci

import (
	_ "crypto/sha256" // for go-digest
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Destination receives one image: its blobs in order, then the index. Finish completes the image
// without making it visible, and Commit makes it visible. Until Commit has returned nil, nothing
// looks like a finished image. If Finish or Commit fails, it discards the image. Discard after
// Commit does nothing, so it can be deferred. All transports implement all methods, and Traits
// describes how to use them.
type Destination interface {
	// Traits describes how the destination accepts blobs, and which files it writes.
	Traits() Traits

	// Blob writes one blob whose digest and size are known. write must write exactly d.Size bytes
	// with the digest in d. It is not called if the destination already contains the blob. If an
	// upload is retried, write is called again after the previous call has returned. After an
	// error, only Discard can be called.
	Blob(d v1.Descriptor, hint Hint, write func(io.Writer) error) error

	// NewBlob starts a blob whose digest is not known before its end. It contains size bytes or, if
	// open is set, at most size bytes. NewBlob returns nil if the destination does not support
	// this. In that case, use Blob.
	NewBlob(size int64, open bool) (BlobWriter, error)

	// Finish writes the index and completes the image. If Options.Readable is set, it returns one
	// location per output from which the image can be read.
	Finish(index []byte) ([]Finished, error)

	// Commit makes the finished image visible.
	Commit() error

	// Written returns the digest under which each output contains a manifest or index: d itself, or
	// the digest of the document in Docker's format. It can change until Commit returns.
	Written(d digest.Digest) []digest.Digest

	// Discard removes everything that was written.
	Discard() error
}

// Hint provides more information about a blob than its descriptor. Each field can be empty.
type Hint struct {
	// Image is the name of an image in a registry that already contains the blob. A push to the
	// same registry then does not have to send it.
	Image string
	// DiffID is the digest of a layer's tar.
	DiffID digest.Digest
	// Verified describes a file with the blob, which this run has read and hashed. If it is not
	// nil, the blob's writer checks that it writes the same bytes, so these need not be hashed.
	Verified fs.FileInfo
}

// BlobWriter writes one blob. Commit or Discard all blobs before the image is finished.
type BlobWriter interface {
	io.Writer
	// Commit completes the blob. d and size must match the bytes written.
	Commit(d digest.Digest, size int64) error
	// Discard removes the blob. After Commit it does nothing.
	Discard() error
}

// Traits are the properties of a destination that its callers need.
type Traits struct {
	Access Access
	// Parallel is the useful number of concurrent calls of Blob; 0 if concurrent calls are not
	// allowed.
	Parallel int
	// Files are the files and directories that are written or replaced. If they are inside the
	// root, they are left out of the image.
	Files []os.FileInfo
}

// Access is how a destination accepts blobs.
type Access int

// These are the kinds of access.
const (
	AppendOnly   Access = iota // a stream: sequential calls of Blob only
	RandomAccess               // one file: NewBlob reserves the size; an open blob must be committed before the next NewBlob
	BlobFiles                  // one file per blob: NewBlob can always be used
	Network                    // Blob only, in any order
	Stacked                    // Blob only, layers in image order, with their DiffIDs
)

// Finished is the location, in its transport's form, from which a finished image can be read before
// Commit.
type Finished struct {
	Path string // path of the file or directory, possibly a temporary name
	Ref  string // the image's name or digest at that path; empty if it is the only image
}

// Options are common to all destinations. The zero value is safe.
type Options struct {
	// Readable requires that the image can be read between Finish and Commit. Destinations that
	// cannot be read, such as a pipe, are refused.
	Readable bool
	// Busy is called while another process is writing to the layout directory at path. It waits and
	// returns nil to try again, or returns an error to give up. If Busy is nil, the run fails
	// immediately.
	Busy func(path string) error
	// Own reports whether this program made a layer, judging by the layer's history. If an image in
	// a layout directory is replaced, the blobs of such layers are removed, unless another image
	// needs them. If Own is nil, no blobs are removed.
	Own func(v1.History) bool
}

// Data returns a write function for Destination.Blob that writes b.
func Data(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

var (
	errFinished    = errors.New("destination is already finished")
	errNotFinished = errors.New("the image is not finished")
	errDiscarded   = errors.New("the destination has been discarded")
	errBlobDone    = errors.New("blob is already finished")
	errTooLong     = errors.New("more bytes than expected")
)

// ErrDigest means that the bytes written do not have the descriptor's digest.
var ErrDigest = errors.New("content has the wrong digest")

// WriteBlob calls write with w and checks that it writes exactly the blob d.
func WriteBlob(w io.Writer, d v1.Descriptor, write func(io.Writer) error) error {
	return writeBlob(w, d, write, true)
}

func writeBlob(w io.Writer, d v1.Descriptor, write func(io.Writer) error, hashed bool) error {
	b := &blobSink{w: w, left: d.Size}
	if hashed {
		b.hash = d.Digest.Algorithm().Hash()
	}
	err := write(b)
	if err == nil { // write can have ignored a write error
		err = b.err
	}
	got := d.Digest
	if hashed && err == nil {
		got = digest.NewDigest(d.Digest.Algorithm(), b.hash)
	}
	switch {
	case err != nil:
		return fmt.Errorf("writing blob %q: %w", d.Digest, err)
	case b.left > 0:
		return fmt.Errorf("writing blob %q: %d of %d bytes are missing", d.Digest, b.left, d.Size)
	case got != d.Digest:
		return fmt.Errorf("writing blob %q: %w %q", d.Digest, ErrDigest, got)
	}
	return nil
}

// blobSink counts and hashes a blob while it is written. It keeps the first error.
type blobSink struct {
	w    io.Writer
	left int64
	hash hash.Hash // nil if the blob is not hashed
	err  error
}

func (b *blobSink) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if int64(len(p)) > b.left {
		b.err = errTooLong
		return 0, b.err
	}
	n, err := b.w.Write(p)
	b.left -= int64(n)
	if b.hash != nil {
		b.hash.Write(p[:n])
	}
	b.err = err
	return n, err
}
