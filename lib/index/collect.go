package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
)

// Collector writes images for several platforms to one destination, one image at a time, and then
// an index of them. Nothing is visible before Commit.
type Collector struct {
	create    func() (oci.Destination, error)
	dest      oci.Destination // nil before the first image
	manifests []v1.Descriptor
	from      platforms
	report    Report
}

// NewCollector returns a Collector. create opens the destination as soon as the first image is
// known.
func NewCollector(create func() (oci.Destination, error)) *Collector {
	return &Collector{create: create, from: platforms{}}
}

// Image returns a destination for an image that replaces one from a source.
func (c *Collector) Image(source image.Location, was image.Entry) (oci.Destination, error) {
	if c.dest == nil {
		var err error
		if c.dest, err = c.create(); err != nil {
			return nil, err
		}
	}
	return &member{c.dest, c, source, was}, nil
}

// Commit writes the index of the images and makes it visible. If docker is set, the index is a
// Docker manifest list.
func (c *Collector) Commit(ctx context.Context, opt Options, docker bool) (report *Report, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Discard())
		}
	}()
	if c.dest == nil {
		return nil, errors.New("no image was written")
	}
	index := oci.Index{Manifests: c.manifests, Annotations: opt.Annotations, Ref: opt.Ref, Also: opt.Also, Docker: docker}
	doc, root, err := index.Build()
	if err != nil {
		return nil, err
	}
	if err := finish(ctx, c.dest, doc, root); err != nil {
		return nil, err
	}
	c.report.Digest, c.report.Manifests = c.Written(doc.Descriptor.Digest)[0].String(), len(c.manifests)
	return &c.report, nil
}

// Written returns the digest of a manifest in each output of the destination. It is final after
// Commit.
func (c *Collector) Written(d digest.Digest) []digest.Digest { return c.dest.Written(d) }

// Discard removes everything that was written, unless it is committed.
func (c *Collector) Discard() error {
	if c.dest == nil {
		return nil
	}
	return c.dest.Discard()
}

// member is the destination of one image. It passes blobs to the common destination, which uses
// digests to recognise blobs that it already contains. So member does not reserve space in a file
// before a blob's digest is known.
type member struct {
	oci.Destination
	collector *Collector
	source    image.Location
	was       image.Entry
}

// Traits implements oci.Destination.
func (m *member) Traits() oci.Traits {
	t := m.Destination.Traits()
	if t.Access == oci.RandomAccess {
		t.Access = oci.AppendOnly
	}
	return t
}

// NewBlob implements oci.Destination.
func (m *member) NewBlob(size int64, open bool) (oci.BlobWriter, error) {
	if m.Destination.Traits().Access == oci.RandomAccess {
		return nil, nil
	}
	return m.Destination.NewBlob(size, open)
}

// Finish implements oci.Destination. It keeps the image's entry for the common index.
func (m *member) Finish(index []byte) ([]oci.Finished, error) {
	parsed, err := oci.CheckIndex(index, func(digest.Digest) bool { return true }) // blobs are checked when the common index is finished
	if err != nil {
		return nil, err
	}
	if len(parsed.Manifests) != 1 || parsed.Manifests[0].Platform == nil {
		return nil, fmt.Errorf("a single-platform image must have an index with one entry and a platform, not %q", index)
	}
	d := parsed.Manifests[0]
	p := platform(*d.Platform, m.was.Manifest.Descriptor.Platform)
	d.Platform, d.Annotations = &p, nil
	name, err := m.collector.from.add(d, m.source.String())
	if err != nil {
		return nil, err
	}
	m.collector.report.Platforms = append(m.collector.report.Platforms, name)
	m.collector.manifests = append(m.collector.manifests, d)
	return nil, nil
}

// Commit implements oci.Destination. It does nothing, because the image appears with the index.
func (m *member) Commit() error { return nil }
