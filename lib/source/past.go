package source

import (
	"slices"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/plan"
)

// past contains the layers that an image's history describes.
type past struct {
	tree   *image.Tree
	layers []*format.Layer // nil for layers of other tools
}

func newPast(img *image.Image, tree *image.Tree) past {
	p := past{tree: tree}
	for _, l := range img.Layers {
		record, _ := plan.FromHistory(l.History)
		p.layers = append(p.layers, record)
	}
	return p
}

// HasHistory reports whether LayerOf can find any layer. If all sources are directories, which have
// no history, this saves a lookup per path.
func (s *Set) HasHistory() bool {
	return slices.ContainsFunc(s.pasts, func(p past) bool {
		return slices.ContainsFunc(p.layers, func(l *format.Layer) bool { return l != nil })
	})
}

// LayerOf returns the record of the layer that contains a path. It is nil if the file does not come
// from an image, or if another tool made the layer.
func (s *Set) LayerOf(path string) *format.Layer {
	at, _, err := s.overlay.find(path)
	if err != nil || s.pasts[at].tree == nil {
		return nil
	}
	layer, err := s.pasts[at].tree.Layer(path)
	if err != nil {
		return nil
	}
	return s.pasts[at].layers[layer]
}
