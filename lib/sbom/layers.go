package sbom

import (
	"context"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
)

// Placement records which layers contain each component in a stream.
type Placement struct {
	// Digests lists the layer digests, from the bottom up. LayerOf returns the layer that contains
	// a path. Both are nil if the source is not a single image.
	Digests []digest.Digest
	LayerOf func(path string) (int, error)

	header format.Header
	newest *int64            // newest mtime of a regular file, in unix seconds
	layers map[string][]bool // by component: the layers that contain it
}

// Read reads a whole stream of files with components.
func (p *Placement) Read(ctx context.Context, in format.Source) error {
	p.layers = make(map[string][]bool)
	for rec, err := range format.All(in) {
		if err != nil {
			return err
		}
		switch rec := rec.(type) {
		case *format.Header:
			p.header = *rec
		case *format.File:
			if err := p.file(rec); err != nil {
				return err
			}
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *Placement) file(f *format.File) error {
	if f.Type == format.TypeFile && (p.newest == nil || f.MTime > *p.newest) {
		p.newest = &f.MTime
	}
	for _, name := range f.Components {
		if p.layers[name] == nil {
			p.layers[name] = make([]bool, len(p.Digests))
		}
	}
	if p.LayerOf == nil || f.Type == format.TypeDir || len(f.Components) == 0 {
		return nil
	}
	layer, err := p.LayerOf(f.Path)
	if err != nil {
		return err
	}
	for _, name := range f.Components {
		p.layers[name][layer] = true
	}
	return nil
}

// Layers returns the digests of the layers that contain each component.
func (p *Placement) Layers() map[string][]digest.Digest {
	out := make(map[string][]digest.Digest, len(p.layers))
	for name, in := range p.layers {
		var list []digest.Digest
		for i, is := range in {
			if is && !slices.Contains(list, p.Digests[i]) {
				list = append(list, p.Digests[i])
			}
		}
		out[name] = list
	}
	return out
}

// Time returns the time for a document: SOURCE_DATE_EPOCH, or else the image's creation time, or
// else the mtime of the newest regular file.
func (p *Placement) Time(created *time.Time) time.Time {
	switch {
	case p.header.HasSourceDate:
		return time.Unix(p.header.SourceDate, 0)
	case created != nil:
		return *created
	case p.newest != nil:
		return time.Unix(*p.newest, 0)
	}
	return time.Unix(0, 0)
}
