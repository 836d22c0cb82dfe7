package source

import (
	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/plan"
)

// past is what an image's history says of its layers.
type past struct {
	tree   *image.Tree
	layers []*format.Layer // nil for those of other tools
}

func newPast(img *image.Image, tree *image.Tree) past {
	p := past{tree: tree}
	for _, l := range img.Layers {
		record, _ := plan.FromHistory(l.History)
		p.layers = append(p.layers, record)
	}
	return p
}

// LayerOf returns the record of the layer that what is at path comes from: nil if it is
// not from an image, or from a layer of another tool.
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
