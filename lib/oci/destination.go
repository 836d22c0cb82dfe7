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

// Destination takes an image: its blobs in the order in which they are to stand, then the index. The image is there only
// once Commit has returned nil; after Abort, or without either, nothing is there that looks finished. Commit ends with
// nil or has aborted; Abort after Commit does nothing, so that it can be deferred.
type Destination interface {
	// Blob writes one blob of known digest and size. write is called once, to write exactly d.Size bytes; it is not
	// called where the destination holds this blob already. The bytes are hashed as they are written, and have to have
	// the digest of d. After an error only Abort is left.
	Blob(d v1.Descriptor, write func(io.Writer) error) error

	// Commit writes the index and makes the image appear.
	Commit(index []byte) error

	// Abort removes what has been written.
	Abort() error

	// Occupies names the files and folders that are written, or are to be replaced, so that a root file system that
	// they lie in can be packed without them.
	Occupies() []os.FileInfo
}

// Offer tells a destination that an image in a registry has a blob, which is about to be written. Where that is the registry
// that the destination is in, nothing needs to be sent. An empty name is none.
func Offer(dest Destination, d digest.Digest, image string) {
	mounter, ok := dest.(interface {
		Mount(d digest.Digest, image string)
	})
	if ok && image != "" {
		mounter.Mount(d, image)
	}
}

// Options are what destinations have in common. The zero Options are safe.
type Options struct {
	// Check, if it is not nil, is called when the image is whole and nobody can see it yet: with the place where it can be
	// read, under a temporary name or by its digest. Its error keeps the image from appearing. Where an image cannot be
	// read before it is seen, as in a pipe, asking for a check is an error.
	Check func(at Target) error
	// Busy is called while another process writes to the layout folder at path: it returns nil after a while, to look
	// again, or an error to give up with. Nil gives up at once.
	Busy func(path string) error
	// Own tells the layers that this program has made, by their history. Of an image that another one replaces in a layout
	// folder, the blobs of such layers are removed where no image needs them any more. Nil removes nothing.
	Own func(v1.History) bool
}

// check calls Check, if there is one.
func (o Options) check(at Target) error {
	if o.Check == nil {
		return nil
	}
	return o.Check(at)
}

// Data is a write function for Destination.Blob.
func Data(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

var (
	errFinished = errors.New("destination is finished already")
	errAborted  = errors.New("destination is aborted")
	errBlobDone = errors.New("blob is finished already")
	errTooLong  = errors.New("more bytes than the size announced")
)

// ErrDigest says that what was written is not what the descriptor says.
var ErrDigest = errors.New("its bytes have the digest")

// writeBlob runs write against w and checks what it wrote.
func writeBlob(w io.Writer, d v1.Descriptor, write func(io.Writer) error) error {
	b := &blobSink{w: w, left: d.Size, hash: digest.SHA256.Hash()}
	err := write(b)
	if err == nil { // write may have lost it
		err = b.err
	}
	switch got := digest.NewDigest(digest.SHA256, b.hash); {
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
