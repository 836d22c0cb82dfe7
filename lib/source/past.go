package source

import (
	"slices"

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
	for at, tree := range slices.Backward(s.trees) {
		if _, err := tree.Lstat(path); err != nil {
			if hides(tree, path) {
				return nil
			}
			continue
		}
		p := s.pasts[at]
		if p.tree == nil {
			return nil
		}
		layer, err := p.tree.Layer(path)
		if err != nil {
			return nil
		}
		return p.layers[layer]
	}
	return nil
}
