package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/registry"
)

// Registry is a repository in a registry.
var Registry = &image.Transport{
	Prefix: "docker://", Form: "docker://REF", Purpose: "for a registry",
	Syntax: image.RefOnly, Network: true,
	CheckRef: func(text string) error {
		_, err := registry.ParseRef(text)
		return err
	},
	Tag: tagOf,
	Open: func(_ context.Context, src image.Source, opt image.Options) (image.Fetcher, error) {
		repo, err := openRegistry(src.Ref, opt.Registry)
		if err != nil {
			return nil, err
		}
		return remote{repo}, nil
	},
	Create: func(ctx context.Context, to image.Source, opt image.CreateOptions) (oci.Destination, error) {
		repo, err := openRegistry(to.Ref, opt.Registry)
		if err != nil {
			return nil, err
		}
		push, err := repo.Push(ctx)
		if err != nil {
			return nil, err
		}
		push.Readable, push.Also = opt.Readable, opt.Also
		return push, nil
	},
}

func openRegistry(text string, options func() (registry.Options, error)) (*registry.Repository, error) {
	ref, err := registry.ParseRef(text)
	if err != nil {
		return nil, err
	}
	if options == nil { // sources in a stream must not open connections without options
		return nil, errors.New("there is no registry client")
	}
	opt, err := options()
	if err != nil {
		return nil, err
	}
	return registry.Open(ref, opt)
}

// tagOf returns the tag in another name of an image, which must be in the same repository.
func tagOf(image, name string) (string, error) {
	at, err := registry.ParseRef(image)
	if err != nil {
		return "", err
	}
	ref, err := registry.ParseRef(name)
	if err != nil || ref.Registry != at.Registry || ref.Name != at.Name || ref.Digest != "" {
		return "", fmt.Errorf("-o docker://%s names the image, and --tag %q is not a tag of the same repository: give --tag %s/%s:TAG", image, name, at.Registry, at.Name)
	}
	return ref.Tag, nil
}

// remote is a repository as an image.Fetcher: with full references, and with manifests among the
// blobs.
type remote struct{ *registry.Repository }

// Close implements image.Fetcher: nothing is open.
func (r remote) Close() error { return nil }

// Manifest implements image.Fetcher.
func (r remote) Manifest(ctx context.Context, text string) (data []byte, mediaType string, err error) {
	ref, err := registry.ParseRef(text)
	if err != nil {
		return nil, "", err
	}
	return r.Repository.Manifest(ctx, ref.Identifier())
}

// Blob implements image.Fetcher.
func (r remote) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if !registry.IsManifest(d.MediaType) {
		return r.Repository.Blob(ctx, d)
	}
	data, _, err := r.Repository.Manifest(ctx, d.Digest.String())
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
