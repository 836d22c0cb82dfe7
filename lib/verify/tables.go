package verify

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/chunked"
	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/temp"
)

// tables is a store that checks the tables of zstd:chunked layers when they are read.
type tables struct {
	image.Fetcher
	spool string // directory for copies of blobs that do not support random access

	mu     sync.Mutex
	faults map[digest.Digest]error
}

// Blob implements image.Fetcher.
func (t *tables) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	in, err := t.Fetcher.Blob(ctx, d)
	if err != nil || !chunked.Marked(d.Annotations) {
		return in, err
	}
	blob, ok := in.(file)
	if !ok {
		blob, err = t.keep(ctx, in)
		in.Close()
		if err != nil {
			return nil, err
		}
	}
	fault := checkTables(ctx, blob, d)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults[d.Digest] = fault
	return blob, nil
}

// file is a blob that also supports random access.
type file interface {
	io.ReadCloser
	io.ReaderAt
}

// keep copies a blob to an unnamed temporary file.
func (t *tables) keep(ctx context.Context, in io.Reader) (file, error) {
	f, err := temp.CreateSpool(t.spool)
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(temp.SpoolWriter(f), interrupt.Reader(ctx, in)); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

var _ file = (*os.File)(nil)

// checkTables checks the tables of a blob. The size and digest of the blob itself are checked when
// the blob is read.
func checkTables(ctx context.Context, blob io.ReaderAt, d v1.Descriptor) error {
	p, err := chunked.FromAnnotations(d.Annotations, d.Size)
	if err != nil {
		return err
	}
	t, err := chunked.ReadTables(p, io.NewSectionReader(blob, p.Start(), d.Size-p.Start()))
	if err != nil {
		return err
	}
	left := limited(image.MaxUnpacked(d.Size))
	return t.Check(interrupt.Reader(ctx, io.NewSectionReader(blob, 0, d.Size)), &left)
}

// limited is a writer that accepts only this number of bytes.
type limited int64

func (l *limited) Write(p []byte) (int, error) {
	if *l -= limited(len(p)); *l < 0 {
		return 0, fmt.Errorf("the tar is so large that this looks like an attack")
	}
	return len(p), nil
}

// report reports all faults found in layers; names are the layers' names for messages.
func (t *tables) report(names []string, layers []image.Layer, r *Report) {
	for i, l := range layers {
		if err := t.faults[l.Descriptor.Digest]; err != nil {
			r.Faults = append(r.Faults, Fault{Where: names[i], What: "clients that fetch chunks cannot use it: " + err.Error()})
		}
	}
}
