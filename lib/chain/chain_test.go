package chain

import (
	"math"
	"math/rand"
	"slices"
	"testing"
)

// permutations calls f with every order of the layers.
func permutations(layers []Layer, n int, f func([]Layer)) {
	if n == len(layers) {
		f(layers)
		return
	}
	for i := n; i < len(layers); i++ {
		layers[n], layers[i] = layers[i], layers[n]
		permutations(layers, n+1, f)
		layers[n], layers[i] = layers[i], layers[n]
	}
}

// No order costs less than the order from Best, whatever the layers are.
func TestBest(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 300 {
		layers := make([]Layer, random.Intn(6))
		for i := range layers {
			// Some layers are empty, and some layers never or always change.
			layers[i] = Layer{Bytes: int64(random.Intn(4)) * 1000, Stay: float64(random.Intn(11)) / 10}
		}
		given := slices.Clone(layers)
		cost, least := Cost(Best(layers)), math.Inf(1)
		if !slices.Equal(given, layers) {
			t.Fatalf("Best changed %v to %v", given, layers)
		}
		permutations(layers, 0, func(order []Layer) { least = min(least, Cost(order)) })
		if cost > least+1e-6 {
			t.Errorf("Best(%v) costs %g, but another order costs %g", layers, cost, least)
		}
	}
}

func TestCost(t *testing.T) {
	volatile, stable := Layer{Bytes: 10, Stay: 0.5}, Layer{Bytes: 1000, Stay: 0.9}
	for _, tt := range []struct {
		layers []Layer
		stay   []float64
		cost   float64
	}{
		{nil, []float64{}, 0},
		{[]Layer{stable}, []float64{0.9}, 100},
		{[]Layer{volatile, stable}, []float64{0.5, 0.45}, 5 + 550},
		{[]Layer{stable, volatile}, []float64{0.9, 0.45}, 100 + 5.5},
	} {
		if got := Stay(tt.layers); !slices.Equal(got, tt.stay) {
			t.Errorf("Stay(%v) = %v, want %v", tt.layers, got, tt.stay)
		}
		if got := Cost(tt.layers); math.Abs(got-tt.cost) > 1e-9 {
			t.Errorf("Cost(%v) = %v, want %v", tt.layers, got, tt.cost)
		}
	}
}
