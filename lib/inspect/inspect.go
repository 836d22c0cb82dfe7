// Package inspect describes the layers of an image by any tool: sizes, components, how likely a
// layer is to stay as it is, and every entry of its tar.
//
// Manifest and config say a part of this, without any layer. For the rest all layers are read once,
// which takes memory in proportion to their entries. What is not known is Unknown, or has no
// component.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/chain"
	"chunkah/lib/image"
	"chunkah/lib/plan"
)

// Unknown is a number that the image does not say, or that needs the layers to be read.
const Unknown = -1

// Image is one image of one platform.
type Image struct {
	Source   string
	Manifest v1.Descriptor
	Config   v1.Descriptor
	Platform string
	Created  *time.Time
	Layers   []Layer // from the bottom up
	// Components are those of the entries of layers, by Entry.Component.
	Components []string
	// Warnings are about damaged package databases, Notes about entries that runtimes treat
	// differently.
	Warnings, Notes []string

	image *image.Image
	opt   image.Options
	// whole says whether the layers were read. tree is the file system of all of them, and nil if
	// it was not requested.
	whole bool
	tree  *image.Tree
}

// Layer is one layer.
type Layer struct {
	image.Layer
	// Components are those that its history names. Fingerprints has one for each of them, or none.
	// Own says whether chunkah made the layer, this one or the Rust one.
	Components, Fingerprints []string
	Own                      bool
	// Stability is the chance that it stays as it is for a week, in parts per million, or Unknown.
	Stability int64
	// Bytes is the size of its tar, or Unknown.
	Bytes int64
	// Entries are those of its tar, in their order; nil if it was not read.
	Entries []Entry
}

// Open describes an image as its manifest and config do. The caller has to close it.
func Open(ctx context.Context, src image.Source, opt image.Options) (*Image, error) {
	img, err := image.Open(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	in := &Image{
		Source: src.String(), Manifest: img.Manifest.Descriptor, Config: img.Config.Descriptor, Platform: platform(img.Platform), Created: img.Created,
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

// platform formats a platform as people write it. Images often leave out linux.
func platform(p v1.Platform) string {
	parts := []string{p.OS, p.Architecture}
	if p.OS == "" {
		parts[0] = "linux"
	}
	if p.Variant != "" {
		parts = append(parts, p.Variant)
	}
	return strings.Join(parts, "/")
}

// annotationStability is the chance to stay for a week, as a decimal fraction: in the manifests of
// both chunkahs.
const annotationStability = "org.chunkah.stability"

// describe describes a layer as manifest and config do.
func describe(l image.Layer) Layer {
	d := Layer{Layer: l, Stability: Unknown, Bytes: Unknown}
	if l.DiffID == l.Descriptor.Digest { // not compressed
		d.Bytes = l.Descriptor.Size
	}
	rec, _ := plan.FromHistory(l.History)
	if rec == nil {
		return d
	}
	d.Own, d.Components, d.Fingerprints, d.Stability = true, rec.Components, rec.Fingerprints, Stability(l)
	return d
}

// Stability returns the chance that a layer stays as it is for a week, in parts per million, as
// history or annotations have it. It is Unknown for layers of other tools.
func Stability(l image.Layer) int64 {
	rec, whole := plan.FromHistory(l.History)
	if rec == nil {
		return Unknown
	}
	said, err := strconv.ParseFloat(l.Descriptor.Annotations[annotationStability], 64)
	switch {
	case whole && rec.StabilityPPM > 0: // packers that do not know it write 0
		return rec.StabilityPPM
	case err == nil && said > 0 && said <= 1:
		return int64(said*ppm + 0.5)
	}
	return Unknown
}

// Chain returns the layers at the bottom whose stability is known: all of them in an image that a
// chunkah made.
func Chain(layers []image.Layer) []chain.Layer {
	var known []chain.Layer
	for _, l := range layers {
		stability := Stability(l)
		if stability == Unknown {
			break
		}
		known = append(known, chain.Layer{Bytes: l.Descriptor.Size, Stay: float64(stability) / ppm})
	}
	return known
}

// ppm is the whole of parts per million.
const ppm = 1_000_000

// Find finds a layer by its number, or by the start of its digest or diffID.
func (in *Image) Find(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil && n < len(in.Layers) {
		if n < 0 {
			return 0, fmt.Errorf("layer %q: they count from 0", name)
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
			return 0, fmt.Errorf("layer %q: layers %d and %d begin so: give more of the digest", name, found, i)
		}
		found = i
	}
	if found < 0 {
		return 0, fmt.Errorf("layer %q: there are %d, counted from 0, and none has such a digest", name, len(in.Layers))
	}
	return found, nil
}
