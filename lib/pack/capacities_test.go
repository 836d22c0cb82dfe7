package pack

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The tree finds the same layer as a linear search.
func TestCapacities(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 26))
	for n := 1; n < 200; n += 7 {
		r, list := newCapacities(n, 100), slices.Repeat([]int64{100}, n)
		for range n {
			size := rng.Int64N(150)
			want := slices.IndexFunc(list, func(room int64) bool { return room >= min(size, 100) })
			if got := r.first(min(size, 100)); got != want {
				t.Fatalf("%d of %d is in layer %d, want %d", size, n, got, want)
			}
			r.take(want, size)
			list[want] -= size
		}
	}
}
