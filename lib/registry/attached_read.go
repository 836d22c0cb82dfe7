package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxAttached is the largest number of documents of one type that ReadAttached tries.
const maxAttached = 8

// ReadAttached calls read for each document of a type that is attached to an image of the
// repository, until read reports that it needs no more documents. The newest document in the list
// comes first. Documents that cannot be read, or that contain more than most bytes, are skipped.
func (r *Repository) ReadAttached(ctx context.Context, subject digest.Digest, kind string, most int64, read func(io.Reader) (enough bool, err error)) error {
	left := maxAttached
	for _, d := range slices.Backward(r.referrers(ctx, subject)) {
		if d.ArtifactType != kind {
			continue
		}
		if left--; left < 0 {
			return nil
		}
		enough, err := r.readAttached(ctx, d, kind, most, read)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if enough && err == nil {
			return nil
		}
	}
	return nil
}

func (r *Repository) readAttached(ctx context.Context, d v1.Descriptor, kind string, most int64, read func(io.Reader) (bool, error)) (bool, error) {
	raw, _, err := r.Manifest(ctx, d.Digest.String())
	if err != nil {
		return false, err
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return false, err
	}
	if len(m.Layers) != 1 || m.Layers[0].MediaType != kind || m.Layers[0].Size > most {
		return false, fmt.Errorf("%q is not a document of the type %q with at most %d bytes", d.Digest, kind, most)
	}
	in, err := r.Blob(ctx, m.Layers[0])
	if err != nil {
		return false, err
	}
	defer in.Close()
	return read(in)
}
