// Package chain computes the cost of an order of layers.
//
// Container clients identify an unpacked layer by its chain, which consists of its diffID and the
// diffIDs of all layers below it. If a layer changes, clients unpack this layer and all layers
// above it again. Docker's graph drivers also download these layers again.
package chain

import (
	"cmp"
	"math"
	"slices"
)

// Layer is one layer of an image.
type Layer struct {
	Bytes int64
	// Stay is the chance, from 0 to 1, that the layer stays unchanged for a week.
	Stay float64
}

// Stay returns, for each layer, the chance that it and all layers below it stay unchanged for a
// week. Layers are listed from the bottom up, as in a manifest.
func Stay(layers []Layer) []float64 {
	chances := make([]float64, len(layers))
	all := 1.0
	for i, l := range layers {
		all *= l.Stay
		chances[i] = all
	}
	return chances
}

// Cost returns the expected number of bytes per week in chains that change.
func Cost(layers []Layer) float64 {
	cost := 0.0
	for i, stay := range Stay(layers) {
		cost += float64(float64(layers[i].Bytes) * (1 - stay))
	}
	return cost
}

// Best returns the layers in the order with the lowest cost.
//
// Exchanging two neighbours a and b changes only two terms of the cost. These terms show that a
// belongs below b if a's bytes * stay / (1 - stay) is greater.
func Best(layers []Layer) []Layer {
	best := slices.Clone(layers)
	slices.SortStableFunc(best, func(a, b Layer) int { return cmp.Compare(weight(b), weight(a)) })
	return best
}

// weight is the sort key of a layer. A layer with a higher weight is placed further down.
func weight(l Layer) float64 {
	if l.Stay >= 1 {
		return math.Inf(1)
	}
	return float64(l.Bytes) * l.Stay / (1 - l.Stay)
}
