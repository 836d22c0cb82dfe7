package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// annotationAttestation marks the attestations that BuildKit stores next to an image.
const annotationAttestation = "vnd.docker.reference.type"

// IsAttestation reports whether a manifest in an index is a BuildKit attestation. The layers of an
// attestation are not image layers.
func IsAttestation(d v1.Descriptor) bool { return d.Annotations[annotationAttestation] != "" }

// chooser finds the image that a source and the options select.
type chooser struct {
	fetch Fetcher
	want  platform
	seen  int // number of manifests listed
}

// manifest returns the manifest of the image that a source refers to.
func (c *chooser) manifest(ctx context.Context, src Location) (oci.Document, error) {
	top, index, err := c.top(ctx, src)
	if err != nil || !index {
		return top, err
	}
	images, err := c.list(ctx, top.Data, 1)
	if err != nil {
		return oci.Document{}, err
	}
	d, data, err := c.present(ctx, images)
	if err != nil {
		return oci.Document{}, err
	}
	if index, err = IsIndex(data, d.MediaType); err == nil && index {
		err = errors.New("is an index, but was listed as an image")
	}
	if err != nil {
		return oci.Document{}, fmt.Errorf("reading manifest %q: %w", d.Digest, err)
	}
	d.MediaType = mediaTypeOf(data, d.MediaType)
	return oci.Document{Descriptor: v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, Data: data}, nil
}

// present reads the best matching image whose blobs exist. Some blobs can be missing, because
// docker save writes the image for only one platform, together with the index of all platforms.
func (c *chooser) present(ctx context.Context, images []v1.Descriptor) (v1.Descriptor, []byte, error) {
	for {
		d, err := c.choose(ctx, images)
		if err != nil {
			return d, nil, err
		}
		data, err := c.read(ctx, d)
		if errors.Is(err, fs.ErrNotExist) && len(images) > 1 {
			images = slices.DeleteFunc(images, func(m v1.Descriptor) bool {
				data, err := c.read(ctx, m)
				_, other := Artifact(data, m)
				return other || errors.Is(err, fs.ErrNotExist)
			})
			if len(images) > 0 {
				continue
			}
		}
		if err != nil {
			err = fmt.Errorf("reading manifest %q: %w", d.Digest, err)
		}
		return d, data, err
	}
}

// top returns the manifest or index that a source refers to.
func (c *chooser) top(ctx context.Context, src Location) (doc oci.Document, index bool, err error) {
	data, mediaType, err := c.fetch.Manifest(ctx, src.Ref)
	if err != nil {
		return doc, false, err
	}
	if err := checkDocument(data); err != nil {
		return doc, false, fmt.Errorf("reading its manifest: %w", err)
	}
	if _, d := cutDigest(src.Ref); d != "" && !src.ByConfig {
		if got := d.Algorithm().FromBytes(data); got != d {
			return doc, false, fmt.Errorf("manifest has the digest %q", got)
		}
	}
	index, err = IsIndex(data, mediaType)
	d := v1.Descriptor{MediaType: mediaTypeOf(data, mediaType), Digest: digest.FromBytes(data), Size: int64(len(data))}
	return oci.Document{Descriptor: d, Data: data}, index, err
}

// mediaTypeOf returns the media type of a manifest, even if the manifest does not contain it.
func mediaTypeOf(data []byte, mediaType string) string {
	var m v1.Manifest
	if mediaType == "" && json.Unmarshal(data, &m) == nil {
		mediaType = m.MediaType
	}
	if mediaType == "" {
		return v1.MediaTypeImageManifest
	}
	return mediaType
}

// read returns a document after verifying it.
func (c *chooser) read(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	in, err := c.fetch.Blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := readVerified(ctx, in, d, oci.MaxDocument)
	if err != nil {
		return nil, err
	}
	return data, checkDocument(data)
}

// list lists the images in an index and in nested indexes.
func (c *chooser) list(ctx context.Context, data []byte, depth int) ([]v1.Descriptor, error) {
	if depth > maxIndexDepth {
		return nil, fmt.Errorf("indexes are nested more than %d deep", maxIndexDepth)
	}
	var index v1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("reading the index: %w", err)
	}
	if c.seen += len(index.Manifests); c.seen > maxManifests {
		return nil, fmt.Errorf("lists more than %d manifests", maxManifests)
	}
	var images []v1.Descriptor
	for _, m := range index.Manifests {
		switch {
		case IsAttestation(m), m.ArtifactType != "", !mayBeImage(m.MediaType):
		case m.MediaType == v1.MediaTypeImageIndex, m.MediaType == oci.MediaTypeDockerIndex:
			data, err := c.read(ctx, m)
			if err != nil {
				return nil, fmt.Errorf("reading index %q: %w", m.Digest, err)
			}
			more, err := c.list(ctx, data, depth+1)
			if err != nil {
				return nil, err
			}
			images = append(images, more...)
		default:
			images = append(images, m)
		}
	}
	return images, nil
}

// mayBeImage reports whether an index can list an image or another index under a media type. Other
// media types belong to artifacts and manifests of schema 1.
func mayBeImage(mediaType string) bool {
	switch mediaType {
	case v1.MediaTypeImageManifest, oci.MediaTypeDockerManifest, v1.MediaTypeImageIndex, oci.MediaTypeDockerIndex, "":
		return true
	}
	return strings.HasPrefix(mediaType, oci.MediaTypeDockerSchema1) // an error with a hint is returned later
}

// choose selects the image that best fits the platform.
func (c *chooser) choose(ctx context.Context, images []v1.Descriptor) (v1.Descriptor, error) {
	if len(images) == 0 {
		return v1.Descriptor{}, errors.New("contains no image")
	}
	if len(images) == 1 {
		return images[0], nil // its config is compared with the platform later
	}
	best, bestRank := v1.Descriptor{}, 0
	var have []string
	for _, m := range images {
		p, err := c.platformOf(ctx, m)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errArtifact) {
			continue
		}
		if err != nil {
			return m, fmt.Errorf("reading manifest %q: %w", m.Digest, err)
		}
		have = append(have, PlatformName(p))
		if rank := c.want.rank(p); rank > bestRank {
			best, bestRank = m, rank
		}
	}
	if bestRank == 0 && len(have) == 0 {
		return best, errors.New("contains no image")
	}
	if bestRank == 0 {
		slices.Sort(have)
		return best, fmt.Errorf("is for %s, not for %s: choose a platform with --platform",
			quoted(slices.Compact(have)), PlatformName(v1.Platform{Architecture: c.want.arch, Variant: c.want.variant}))
	}
	return best, nil
}

var errArtifact = errors.New("is an artifact, not an image")

// platformOf returns the platform of an image in an index. If the index does not contain the
// platform, it is read from the config.
func (c *chooser) platformOf(ctx context.Context, m v1.Descriptor) (v1.Platform, error) {
	if m.Platform != nil {
		return *m.Platform, nil
	}
	data, err := c.read(ctx, m)
	if err != nil {
		return v1.Platform{}, err
	}
	if _, is := Artifact(data, m); is {
		return v1.Platform{}, errArtifact
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		return v1.Platform{}, err
	}
	if manifest.Config.Digest == "" { // for example schema 1, which clients do not select without a platform
		return v1.Platform{}, errArtifact
	}
	if data, err = c.read(ctx, manifest.Config); err != nil {
		return v1.Platform{}, fmt.Errorf("reading config %q: %w", manifest.Config.Digest, err)
	}
	var p v1.Platform
	return p, json.Unmarshal(data, &p)
}
