package source

import (
	"slices"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/plan"
)

// past has the layers in an image's history.
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

// HasHistory reports whether LayerOf knows any layer. A directory has none, and there it would look
// for each path.
func (s *Set) HasHistory() bool {
	return slices.ContainsFunc(s.pasts, func(p past) bool {
		return slices.ContainsFunc(p.layers, func(l *format.Layer) bool { return l != nil })
	})
}

// LayerOf returns the record of the layer that has a path. It is nil if the file is not from an
// image, or from a layer of another tool.
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
