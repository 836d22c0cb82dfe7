package oci

import (
	_ "crypto/sha256" // for go-digest
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Destination receives one image: its blobs in order, then the index. Finish completes the image
// where nobody sees it, and Commit makes it visible. Until Commit has returned nil, nothing looks
// like a finished image. If Finish or Commit fail, they discard the image. Discard after Commit
// does nothing, so it can be deferred. All transports implement all methods; Traits says which are
// useful.
type Destination interface {
	// Traits says how the destination accepts blobs, and which files it writes.
	Traits() Traits

	// Blob writes one blob with known digest and size. write writes exactly d.Size bytes, which
	// must have the digest of d. It is not called if the destination has the blob, and it is called
	// again, one call after another, if an upload is retried. After an error only Discard can be
	// called.
	Blob(d v1.Descriptor, hint Hint, write func(io.Writer) error) error

	// NewBlob starts a blob whose digest is known only at its end. It has size bytes, or at most
	// size if it is open. It returns nil if Traits.Access does not allow that, or not for an open
	// blob of this size: then use Blob.
	NewBlob(size int64, open bool) (BlobWriter, error)

	// Finish writes the index and completes the image. If Options.Readable is set, the image can be
	// read at the location.
	Finish(index []byte) (Location, error)

	// Commit makes the finished image visible.
	Commit() error

	// Discard removes everything that was written.
	Discard() error
}

// Hint says more about a blob than its descriptor. Each field can be empty.
type Hint struct {
	// Image names an image in a registry that has the blob: a push to the same registry need not
	// send it.
	Image string
	// DiffID is the digest of a layer's tar.
	DiffID digest.Digest
}

// BlobWriter writes one blob. The image can be finished only after Commit or Discard of all blobs.
type BlobWriter interface {
	io.Writer
	// Commit completes the blob. d and size are those of the bytes written.
	Commit(d digest.Digest, size int64) error
	// Discard removes the blob. After Commit it does nothing.
	Discard() error
}

// Traits are the facts about a destination that callers need.
type Traits struct {
	Access Access
	// Parallel is how many concurrent calls of Blob are useful; 0 if they are not allowed.
	Parallel int
	// Files are the files and directories that are written or replaced. If they are inside the
	// root, the image leaves them out.
	Files []os.FileInfo
}

// Access is how a destination accepts blobs.
type Access int

// The kinds of access.
const (
	AppendOnly   Access = iota // a stream: one blob after another, with Blob only
	RandomAccess               // one file: NewBlob reserves space by size; an open blob is the last one until its Commit
	BlobFiles                  // a file per blob: NewBlob works at any time
	Network                    // Blob only, in any order
	Stacked                    // Blob only, layers in the order of the image, with their DiffIDs
)

// Location is where a finished image can be read before Commit, in the form of its transport.
type Location struct {
	Path string // of the file or directory, possibly a temporary name
	Ref  string // the image's name or digest there; empty if it is the only one
}

// Options are common to all destinations. The zero Options are safe.
type Options struct {
	// Readable requires that the image can be read between Finish and Commit. Destinations that
	// cannot, such as a pipe, are refused.
	Readable bool
	// Busy is called while another process writes to the layout directory at path. It waits and
	// returns nil to try again, or returns an error to give up. Nil gives up at once.
	Busy func(path string) error
	// Own reports by its history whether this program made a layer. If an image in a layout
	// directory is replaced, blobs of such layers are removed unless another image needs them. Nil
	// removes nothing.
	Own func(v1.History) bool
}

// Data returns a write function for Destination.Blob.
func Data(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

var (
	errFinished    = errors.New("destination is finished already")
	errNotFinished = errors.New("the image is not finished")
	errDiscarded   = errors.New("destination is discarded")
	errBlobDone    = errors.New("blob is finished already")
	errTooLong     = errors.New("more bytes than announced")
)

// ErrDigest means that the bytes written do not have the descriptor's digest.
var ErrDigest = errors.New("content has the wrong digest")

// WriteBlob calls write with w and checks that it writes the blob d.
func WriteBlob(w io.Writer, d v1.Descriptor, write func(io.Writer) error) error {
	b := &blobSink{w: w, left: d.Size, hash: d.Digest.Algorithm().Hash()}
	err := write(b)
	if err == nil { // write can have dropped it
		err = b.err
	}
	switch got := digest.NewDigest(d.Digest.Algorithm(), b.hash); {
	case err != nil:
		return fmt.Errorf("writing blob %q: %w", d.Digest, err)
	case b.left > 0:
		return fmt.Errorf("writing blob %q: %d of %d bytes are missing", d.Digest, b.left, d.Size)
	case got != d.Digest:
		return fmt.Errorf("writing blob %q: %w %q", d.Digest, ErrDigest, got)
	}
	return nil
}

// blobSink counts and hashes a blob on its way to a writer. The first error stays.
type blobSink struct {
	w    io.Writer
	left int64
	hash hash.Hash
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
	b.hash.Write(p[:n])
	b.err = err
	return n, err
}
