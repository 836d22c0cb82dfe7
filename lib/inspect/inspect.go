// Package inspect describes the layers of an image from any tool: sizes, components, stability, and
// every entry in the tars.
//
// The manifest and config contain part of this information. For the rest, all layers are read once,
// which takes memory in proportion to the number of entries. Missing numbers are Unknown, and
// missing components are NoComponent.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/chain"
	"chunkah/lib/image"
	"chunkah/lib/patch"
	"chunkah/lib/plan"
)

// Unknown represents a number that the image does not contain, or that is unknown before the layers
// are read.
const Unknown = -1

// Image is an image for one platform.
type Image struct {
	Source   string
	Digest   digest.Digest // of the manifest, as shown to users of the image's store
	Config   v1.Descriptor
	Platform string
	Created  *time.Time
	Layers   []Layer // from the bottom up
	// Components are the components of all entries, indexed by Entry.Component.
	Components []string
	// Warnings describe damaged package databases. Notes describe entries that runtimes treat
	// differently.
	Warnings, Notes []string

	image *image.Image
	opt   image.Options
	// read is set once the layers have been read. tree is their merged file system, or nil if it
	// was not requested.
	read bool
	tree *image.Tree
}

// Layer is one layer of an image.
type Layer struct {
	image.Layer
	// Components are the components in the layer's history. Fingerprints contains one fingerprint
	// per component, or is empty. Own is set if chunkah or the Rust chunkah made the layer.
	Components, Fingerprints []string
	Own                      bool
	// Stability is the chance that the layer stays unchanged for a week, in parts per million, or
	// Unknown.
	Stability int64
	// Bytes is the size of the layer's tar, or Unknown.
	Bytes int64
	// Stale is the size of those files in the layer that upper layers hide, or Unknown. HiddenBy
	// divides this size by the layer that hides the files.
	Stale    int64
	HiddenBy map[int]int64
	// Rewritten are layers of the previous image that were not kept when this layer was made.
	Rewritten []patch.Rewritten
	// Entries are the entries in the layer's tar, in order. They are nil if the tar was not read.
	Entries []Entry
}

// Open describes an image from its manifest and config. The caller must close it.
func Open(ctx context.Context, src image.Location, opt image.Options) (*Image, error) {
	img, err := image.Open(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	in := &Image{
		Source: src.String(), Digest: img.Digest(), Config: img.Config.Descriptor, Platform: image.PlatformName(img.Platform), Created: img.Created,
		image: img, opt: opt,
	}
	for _, l := range img.Layers {
		in.Layers = append(in.Layers, describe(l))
	}
	return in, nil
}

// Close closes the source of the image.
func (in *Image) Close() error {
	var err error
	if in.tree != nil {
		err = in.tree.Close()
	}
	in.tree = nil
	return errors.Join(err, in.image.Close())
}

// annotationStability is the chance that a layer stays unchanged for a week, as a decimal fraction.
// Both chunkah and the Rust chunkah write it to manifests.
const annotationStability = "org.chunkah.stability"

// describe describes a layer from its manifest and config.
func describe(l image.Layer) Layer {
	d := Layer{Layer: l, Stability: Unknown, Bytes: Unknown, Stale: Unknown}
	if l.DiffID == l.Descriptor.Digest { // not compressed
		d.Bytes = l.Descriptor.Size
	}
	rec, _ := plan.FromHistory(l.History)
	if rec == nil {
		return d
	}
	d.Own, d.Components, d.Fingerprints, d.Stability = true, rec.Components, rec.Fingerprints, stabilityOf(l)
	d.Rewritten = patch.RewrittenIn(rec)
	return d
}

// stabilityOf returns the chance that a layer stays unchanged for a week, in parts per million,
// from its history or annotations. It is Unknown for layers from other tools.
func stabilityOf(l image.Layer) int64 {
	rec, whole := plan.FromHistory(l.History)
	if rec == nil {
		return Unknown
	}
	said, err := strconv.ParseFloat(l.Descriptor.Annotations[annotationStability], 64)
	switch {
	case whole && rec.StabilityPPM > 0: // packers write 0 if it is unknown
		return rec.StabilityPPM
	case err == nil && said > 0 && said <= 1:
		return int64(said*ppm + 0.5)
	}
	return Unknown
}

// Chain returns the layers below the first layer with unknown stability. If chunkah made the image,
// these are all layers.
func Chain(layers []image.Layer) []chain.Layer {
	var known []chain.Layer
	for _, l := range layers {
		stability := stabilityOf(l)
		if stability == Unknown {
			break
		}
		known = append(known, chain.Layer{Bytes: l.Descriptor.Size, Stay: float64(stability) / ppm})
	}
	return known
}

// ppm is 1 in parts per million.
const ppm = 1_000_000

// Find finds a layer by number, or by a prefix of its digest or diffID.
func (in *Image) Find(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil && n < len(in.Layers) {
		if n < 0 {
			return 0, fmt.Errorf("layer %q: layers are numbered from 0", name)
		}
		return n, nil
	}
	hex := strings.TrimPrefix(name, "sha256:")
	found := -1
	for i, l := range in.Layers {
		if hex == "" || !strings.HasPrefix(l.Descriptor.Digest.Encoded(), hex) && !strings.HasPrefix(l.DiffID.Encoded(), hex) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("layer %q is ambiguous, because layers %d and %d match: use a longer prefix of the digest", name, found, i)
		}
		found = i
	}
	if found < 0 {
		return 0, fmt.Errorf("layer %q not found: the image contains %d layers, numbered from 0, and no layer has this digest", name, len(in.Layers))
	}
	return found, nil
}
