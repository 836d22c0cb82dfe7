package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// maxListed is the largest total size of the manifests in one source, in bytes. They are kept in
// memory. The limit is large enough for a hundred large manifests.
const maxListed = 64 << 20

// Listing contains all manifests that a source refers to: those of one image, or those in an index.
type Listing struct {
	Source  Location
	Entries []Entry
	// Absent lists the manifests in an index that are not stored in the same place. They can be
	// missing because docker save writes the image for only one platform, together with the index
	// of all platforms.
	Absent []v1.Descriptor

	fetch Fetcher
}

// Entry is a manifest in a listing. The manifest and its config are verified, but the layers are
// not.
type Entry struct {
	// Manifest is the document. Its descriptor contains the platform and annotations from the
	// index.
	Manifest oci.Document
	// Platform is the platform in the config.
	Platform v1.Platform
	// Blobs contains the layers and the config.
	Blobs []v1.Descriptor
	// Artifact is set for everything except images, for example for BuildKit attestations. The
	// contents of artifacts are not parsed, and artifacts have no platform.
	Artifact bool
}

// List lists the manifests for every platform that a source refers to.
func List(ctx context.Context, src Location, opt Options) (*Listing, error) {
	fetch, err := OpenFetcher(ctx, src, opt)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", src, err)
	}
	l := &Listing{Source: src, fetch: fetch}
	if err := l.list(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %q: %w", src, err), l.Close())
	}
	return l, nil
}

// Close closes the store of the manifests.
func (l *Listing) Close() error { return l.fetch.Close() }

// Blob opens a blob in its stored form. The caller verifies digest and size.
func (l *Listing) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return l.fetch.Blob(ctx, d)
}

func (l *Listing) list(ctx context.Context) error {
	w := &lister{listing: l, chooser: chooser{fetch: l.fetch}, left: maxListed}
	top, index, err := w.top(ctx, l.Source)
	if err == nil {
		err = w.add(ctx, top, index, 0)
	}
	if err == nil && !slices.ContainsFunc(l.Entries, func(e Entry) bool { return !e.Artifact }) {
		err = errNoImage(len(l.Entries), len(l.Absent))
	}
	return err
}

// errNoImage returns the error for an index without images, with a description of its contents.
func errNoImage(artifacts, absent int) error {
	switch {
	case absent > 0:
		return fmt.Errorf("contains no image: the %d manifests that its index lists are missing", absent)
	case artifacts > 0:
		return errors.New("contains no image, only an artifact")
	}
	return errors.New("contains no image")
}

// lister walks an index and nested indexes.
type lister struct {
	chooser
	listing *Listing
	left    int // bytes still available for manifests
}

func (w *lister) add(ctx context.Context, doc oci.Document, index bool, depth int) error {
	if !index {
		return w.addImage(ctx, doc)
	}
	if depth > maxIndexDepth {
		return fmt.Errorf("indexes are nested more than %d deep", maxIndexDepth)
	}
	var parsed v1.Index
	if err := json.Unmarshal(doc.Data, &parsed); err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	if w.seen += len(parsed.Manifests); w.seen > maxManifests {
		return fmt.Errorf("lists more than %d manifests", maxManifests)
	}
	_, pinned := cutDigest(w.listing.Source.Ref)
	for _, d := range parsed.Manifests {
		data, err := w.read(ctx, d)
		if errors.Is(err, fs.ErrNotExist) && (depth > 0 || pinned != "") {
			w.listing.Absent = append(w.listing.Absent, d)
			continue
		}
		if err == nil {
			err = w.addListed(ctx, d, data, depth)
		}
		if err != nil {
			return fmt.Errorf("reading manifest %q: %w", d.Digest, err)
		}
	}
	return nil
}

// addListed adds a manifest of an index.
func (w *lister) addListed(ctx context.Context, d v1.Descriptor, data []byte, depth int) error {
	if blobs, is := Artifact(data, d); is {
		d.MediaType = mediaTypeOf(data, d.MediaType)
		return w.keep(Entry{Manifest: oci.Document{Descriptor: d, Data: data}, Artifact: true, Blobs: blobs})
	}
	index, err := IsIndex(data, d.MediaType)
	if err != nil {
		return err
	}
	d.MediaType = mediaTypeOf(data, d.MediaType)
	return w.add(ctx, oci.Document{Descriptor: d, Data: data}, index, depth+1)
}

func (w *lister) addImage(ctx context.Context, doc oci.Document) error {
	m, err := parseAnyManifest(doc.Data)
	if err != nil {
		return err
	}
	p, err := w.platform(ctx, m.Config)
	if err != nil {
		return err
	}
	// Clients fetch these layers from another place. They are not stored here and must not be
	// copied.
	blobs := slices.DeleteFunc(m.Layers, func(l v1.Descriptor) bool { return len(l.URLs) > 0 && IsForeign(l.MediaType) })
	return w.keep(Entry{Manifest: doc, Platform: p, Blobs: append(blobs, m.Config)})
}

func (w *lister) keep(e Entry) error {
	if w.left -= len(e.Manifest.Data); w.left < 0 {
		return fmt.Errorf("manifests are too large: more than %d bytes in total", maxListed)
	}
	w.listing.Entries = append(w.listing.Entries, e)
	return nil
}

// platform reads the platform from a config.
func (w *lister) platform(ctx context.Context, config v1.Descriptor) (p v1.Platform, err error) {
	data, err := w.read(ctx, config)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return p, fmt.Errorf("reading config %q: %w", config.Digest, err)
	}
	return p, nil
}
