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

// Destination takes one image: its blobs in the order in which they are to stand, then the index. Finish completes the
// image where nobody sees it yet, and Commit makes it appear. Until Commit has returned nil, nothing is there that looks
// finished. Finish and Commit discard the image if they fail. Discard after Commit does nothing, so that it can be
// deferred. All transports implement all methods; Traits says what callers can use.
type Destination interface {
	// Traits says how the destination takes blobs, and which files it writes.
	Traits() Traits

	// Blob writes one blob of known digest and size. write writes exactly d.Size bytes, which are hashed on their way and
	// have to have the digest of d. It is not called if the destination has the blob already, and it is called again,
	// one call after the other, if an upload is retried. from names an image in a registry that has the blob, or is
	// empty: a push to the same registry need not send it. After an error only Discard is left.
	Blob(d v1.Descriptor, from string, write func(io.Writer) error) error

	// NewBlob starts a blob whose digest is known only at its end. It has size bytes, or at most as many if it is open.
	// It returns nil if Traits.Access does not allow that, or not for an open blob of this size: write it with Blob.
	NewBlob(size int64, open bool) (BlobWriter, error)

	// Finish writes the index: the image is complete. Where Options.Readable is set, it can be read at the location.
	Finish(index []byte) (Location, error)

	// Commit makes the finished image appear.
	Commit() error

	// Discard removes what has been written.
	Discard() error
}

// BlobWriter takes the bytes of one blob. The image can be finished once it is committed or discarded.
type BlobWriter interface {
	io.Writer
	// Commit completes the blob with the digest and the number of its bytes.
	Commit(d digest.Digest, size int64) error
	// Discard removes the blob. After Commit it does nothing.
	Discard() error
}

// Traits are what callers have to know of a destination.
type Traits struct {
	Access Access
	// Parallel is how many calls of Blob are worth making at the same time; 0 if they must not be.
	Parallel int
	// Files are the files and folders that are written or replaced: a root file system that they are in is packed
	// without them.
	Files []os.FileInfo
}

// Access is how a destination takes blobs.
type Access int

// The kinds of access.
const (
	AppendOnly   Access = iota // a stream: one blob after the other, by Blob alone
	RandomAccess               // one file: NewBlob sets places aside by size; an open blob is the last until it is committed
	BlobFiles                  // a file per blob: NewBlob works at any time
	Network                    // Blob alone, in any order
)

// Location is where a finished image can be read before Commit, in the terms of its transport.
type Location struct {
	Path string // of the file or folder, which may have a temporary name
	Ref  string // the name or digest of the image there; empty for the only one
}

// Options are what destinations have in common. The zero Options are safe.
type Options struct {
	// Readable asks for an image that can be read between Finish and Commit. A place where that is not possible is
	// refused, such as a pipe.
	Readable bool
	// Busy is called while another process writes to the layout folder at path: it returns nil after a while, to look
	// again, or an error to give up with. Nil gives up at once.
	Busy func(path string) error
	// Own reports whether a layer was made by this program, by its history. If an image in a layout folder is replaced,
	// the blobs of such layers are removed unless another image needs them. Nil removes nothing.
	Own func(v1.History) bool
}

// Data is a write function for Destination.Blob.
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
	errTooLong     = errors.New("more bytes than the size announced")
)

// ErrDigest says that what was written is not what the descriptor says.
var ErrDigest = errors.New("its bytes have the digest")

// WriteBlob runs write against w and checks that it writes the blob that d describes.
func WriteBlob(w io.Writer, d v1.Descriptor, write func(io.Writer) error) error {
	b := &blobSink{w: w, left: d.Size, hash: d.Digest.Algorithm().Hash()}
	err := write(b)
	if err == nil { // write may have lost it
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

// blobSink passes a blob on, counts and hashes it. Its first error stays.
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
