package image

import (
	"context"
	_ "crypto/sha256" // for go-digest
	_ "crypto/sha512" // for go-digest
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/metrics"
	"chunkah/lib/oci"
)

// hashChunk is the number of bytes that are hashed in one call. hashChunks is the number of chunks
// that are queued or being hashed.
const (
	hashChunk  = 64 << 10
	hashChunks = 4
)

// hasher computes a digest in its own goroutine, because hashing takes as long as fast
// decompression.
type hasher struct {
	algorithm digest.Algorithm
	hash      hash.Hash
	full      chan []byte
	free      chan []byte
	done      chan struct{}
	buf       []byte
}

func newHasher(algorithm digest.Algorithm) *hasher {
	h := &hasher{
		algorithm: algorithm, hash: algorithm.Hash(), done: make(chan struct{}),
		full: make(chan []byte, hashChunks), free: make(chan []byte, hashChunks),
	}
	for range hashChunks {
		h.free <- nil // allocated when needed: most layers are small
	}
	go func(full <-chan []byte) {
		defer close(h.done)
		for chunk := range full {
			h.hash.Write(chunk)
			h.free <- chunk[:0]
		}
	}(h.full)
	return h
}

func (h *hasher) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if h.buf == nil {
			if h.buf = <-h.free; h.buf == nil {
				h.buf = make([]byte, 0, hashChunk)
			}
		}
		n := min(len(p), cap(h.buf)-len(h.buf))
		h.buf = append(h.buf, p[:n]...)
		p = p[n:]
		if len(h.buf) == cap(h.buf) {
			h.full <- h.buf
			h.buf = nil
		}
	}
	return written, nil
}

// close ends the hasher's goroutine. It can be called more than once.
func (h *hasher) close() {
	if h.full == nil {
		return
	}
	if h.buf != nil {
		h.full <- h.buf
		h.buf = nil
	}
	close(h.full)
	h.full = nil
	<-h.done
}

// sum returns the digest of all data that was written. No data can be written afterwards.
func (h *hasher) sum() digest.Digest {
	h.close()
	return digest.NewDigest(h.algorithm, h.hash)
}

// verified reads a blob and verifies it against its descriptor.
type verified struct {
	ctx  context.Context // context for this read alone
	in   io.Reader
	want v1.Descriptor
	hash *hasher // nil for a blob without a digest
	read atomic.Int64
	work *metrics.Work // counts what is read; can be nil
	err  error
	// whole makes Read continue after a size mismatch, which finish then reports.
	whole bool
}

// newVerified returns a reader that reads a blob from in and verifies it against the descriptor
// want. The caller must call close.
func newVerified(ctx context.Context, in io.Reader, want v1.Descriptor) (*verified, error) {
	if err := oci.CheckDescriptor(want); err != nil {
		return nil, err
	}
	return &verified{ctx: ctx, in: in, want: want, hash: newHasher(want.Digest.Algorithm())}, nil
}

// Read implements io.Reader. It returns no more bytes than the descriptor allows.
func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.ctx.Err() != nil {
		v.err = context.Cause(v.ctx)
		return 0, v.err
	}
	n, err := v.in.Read(p)
	v.work.Did(int64(n))
	if v.read.Add(int64(n)) > v.want.Size && !v.whole {
		v.err = fmt.Errorf("has more than the expected %d bytes", v.want.Size)
		return 0, v.err
	}
	if v.hash != nil {
		_, _ = v.hash.Write(p[:n]) // never fails
	}
	if errors.Is(err, io.EOF) && v.read.Load() != v.want.Size && !v.whole {
		err = v.wrongSize()
	}
	v.err = err
	return n, err
}

func (v *verified) wrongSize() error {
	return fmt.Errorf("is %d bytes, but its descriptor specifies %d", v.read.Load(), v.want.Size)
}

// finish reads the rest and checks the size and the digest.
func (v *verified) finish() error {
	if v.hash == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{v}); err != nil {
		return err
	}
	if v.read.Load() != v.want.Size {
		return v.wrongSize()
	}
	if got := v.hash.sum(); got != v.want.Digest {
		return fmt.Errorf("content has the wrong digest %q", got)
	}
	return nil
}

func (v *verified) close() {
	if v.hash != nil {
		v.hash.close()
	}
}

// size returns the size in the descriptor, or the number of bytes read so far if that is larger.
func (v *verified) size() int64 { return max(v.want.Size, v.read.Load()) }

// readVerified reads a small blob into memory.
func readVerified(ctx context.Context, in io.Reader, want v1.Descriptor, limit int64) ([]byte, error) {
	if want.Size > limit {
		return nil, fmt.Errorf("is %d bytes, above the limit of %d", want.Size, limit)
	}
	v, err := newVerified(ctx, in, want)
	if err != nil {
		return nil, err
	}
	defer v.close()
	data, err := io.ReadAll(v)
	if err != nil {
		return nil, err
	}
	return data, v.finish()
}
