package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/registries"
	"chunkah/lib/registry"
)

// mirrorAttempts is how often a mirror is tried before the next endpoint.
const mirrorAttempts = 2

// mirrors is an image.Fetcher for a repository and its mirrors. The first endpoint that has the
// manifest becomes the endpoint of the image.
type mirrors struct {
	places []*registry.Repository // in the order in which they are tried, the image's own last
	warn   func(string)           // nil if warnings are ignored

	mu    sync.Mutex
	found int // the index of the endpoint that is used for the image
	known bool
}

var (
	_ image.Ranged = (*mirrors)(nil)
	_ image.Hosted = (*mirrors)(nil)
)

// openMirrors prepares access to the endpoints of an image. It sends nothing yet.
func openMirrors(text string, opt image.Options) (*mirrors, error) {
	ref, config, client, err := configure(text, opt.Registry)
	if err != nil {
		return nil, err
	}
	var places []registries.Endpoint
	if opt.Direct {
		places = make([]registries.Endpoint, 1)
		places[0], err = config.Push(ref)
	} else {
		places, err = config.Pull(ref)
	}
	if err != nil {
		return nil, err
	}
	m := &mirrors{warn: client.Warn}
	for i, at := range places {
		own := client
		own.Insecure = own.Insecure || at.Insecure
		if i < len(places)-1 {
			own.Attempts = mirrorAttempts
		}
		repo, err := registry.Open(at.Ref, own)
		if err != nil {
			return nil, err
		}
		m.places = append(m.places, repo)
	}
	return m, nil
}

// Close implements image.Fetcher. Nothing is open.
func (m *mirrors) Close() error { return nil }

// Manifest implements image.Fetcher.
func (m *mirrors) Manifest(ctx context.Context, text string) (data []byte, mediaType string, err error) {
	ref, err := registry.ParseRef(text)
	if err != nil {
		return nil, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known {
		return m.places[m.found].Manifest(ctx, ref.Identifier())
	}
	var failed []error
	for i, place := range m.places {
		data, mediaType, err = place.Manifest(ctx, ref.Identifier())
		if err == nil {
			m.found, m.known = i, true
			return data, mediaType, nil
		}
		if ctx.Err() != nil {
			return nil, "", context.Cause(ctx)
		}
		if i < len(m.places)-1 {
			m.next(err)
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		err = fmt.Errorf("%w; its mirrors failed too: %s", err, joined(failed))
	}
	return nil, "", err
}

// next warns about a mirror that cannot be reached. A mirror that does not have the image causes no
// warning.
func (m *mirrors) next(err error) {
	if m.warn != nil && !errors.Is(err, fs.ErrNotExist) {
		m.warn(fmt.Sprintf("%v: trying the next mirror", err))
	}
}

// joined joins the messages of errors in one line.
func joined(list []error) string {
	texts := make([]string, len(list))
	for i, err := range list {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// from returns the endpoint that is used for the image and the endpoints after it.
func (m *mirrors) from() []*registry.Repository {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.places[m.found:]
}

// Blob implements image.Fetcher.
func (m *mirrors) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return m.open(ctx, func(place *registry.Repository) (io.ReadCloser, error) { return blob(ctx, place, d) })
}

// BlobRange implements image.Ranged.
func (m *mirrors) BlobRange(ctx context.Context, d v1.Descriptor, from, n int64) (io.ReadCloser, error) {
	return m.open(ctx, func(place *registry.Repository) (io.ReadCloser, error) { return place.BlobRange(ctx, d, from, n) })
}

// open opens a blob. Blobs that are missing from a mirror are read from the next endpoint, because
// their digests identify them.
func (m *mirrors) open(ctx context.Context, at func(*registry.Repository) (io.ReadCloser, error)) (in io.ReadCloser, err error) {
	places := m.from()
	for i, place := range places {
		in, err = at(place)
		if err == nil || ctx.Err() != nil {
			return in, err
		}
		if i < len(places)-1 {
			m.next(err)
		}
	}
	return nil, err
}

// blob opens a blob or a manifest.
func blob(ctx context.Context, repo *registry.Repository, d v1.Descriptor) (io.ReadCloser, error) {
	if !registry.IsManifest(d.MediaType) {
		return repo.Blob(ctx, d)
	}
	data, _, err := repo.Manifest(ctx, d.Digest.String())
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Repository implements image.Hosted.
func (m *mirrors) Repository() *registry.Repository { return m.from()[0] }
