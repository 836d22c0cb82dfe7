package main

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
)

// chunkah06 groups components like chunkah 0.6, according to its documentation. Each large
// component has its own layer. The others are divided into three classes around their mean
// stability. In each class, a hash of the component's name selects the layer.
func chunkah06(s *state, limit int) [][]component {
	if len(s.components) <= limit {
		return singles(s.components)
	}
	large, small := bySize(s.components, limit)
	groups := singles(large)
	budget := limit - len(large)
	if len(small) <= budget {
		return append(groups, singles(small)...)
	}
	classes := s.classes(small)
	if budget < len(classes) {
		return append(groups, hashed(small, budget)...)
	}
	for i, class := range classes {
		n := budget // the last class gets the remaining layers
		if behind := len(classes) - 1 - i; behind > 0 {
			share := math.Round(float64(len(class)) / float64(len(small)) * float64(limit-len(large)))
			n = min(max(int(share), 1), budget-behind)
		}
		budget -= n
		groups = append(groups, hashed(class, n)...)
	}
	return groups
}

func singles(list []component) [][]component {
	groups := make([][]component, len(list))
	for i := range list {
		groups[i] = list[i : i+1 : i+1]
	}
	return groups
}

// bySize separates the large components, which exceed the median by more than one and a half times
// the median deviation. Large components get at most four fifths of the layers.
func bySize(list []component, limit int) (large, small []component) {
	sizes := make([]float64, len(list))
	for i, c := range list {
		sizes[i] = float64(c.size)
	}
	middle := median(sizes)
	for i := range sizes {
		sizes[i] = math.Abs(sizes[i] - middle)
	}
	spread := median(sizes)
	if spread < middle/100 {
		spread = middle
	}
	for _, c := range list {
		if float64(c.size) >= middle+1.5*spread {
			large = append(large, c)
		} else {
			small = append(small, c)
		}
	}
	if len(small) > 0 {
		limit-- // one layer is for the small components
	}
	if most := limit * 4 / 5; len(large) > most {
		slices.SortStableFunc(large, func(a, b component) int { return cmp.Compare(b.size, a.size) })
		large, small = large[:most], append(small, large[most:]...)
	}
	return large, small
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// classes returns the components of high, middle and low stability, without empty classes.
func (s *state) classes(list []component) [][]component {
	stay := make([]float64, len(list))
	mean, spread := 0.0, 0.0
	for i, c := range list {
		stay[i] = s.stability(c)
		mean += stay[i] / float64(len(list))
	}
	for _, q := range stay {
		spread += (q - mean) * (q - mean) / float64(len(list))
	}
	spread = math.Sqrt(spread)
	var three [3][]component
	for i, c := range list {
		class := 1
		switch {
		case stay[i] >= mean+spread:
			class = 0
		case stay[i] <= mean-spread:
			class = 2
		}
		three[class] = append(three[class], c)
	}
	return slices.DeleteFunc(three[:], func(c []component) bool { return len(c) == 0 })
}

// stableFirst sorts layers like chunkah 0.6, with the most stable layer at the bottom. A layer's
// stability is the combined stability of all its components.
func (s *state) stableFirst(layers []layer) []layer {
	known := map[string]component{}
	for _, c := range s.components {
		known[c.name] = c
	}
	stay := map[string]float64{}
	for _, l := range layers {
		stay[l.digest] = 1
		for _, name := range l.components {
			stay[l.digest] *= s.stability(known[name])
		}
	}
	sorted := slices.Clone(layers)
	slices.SortStableFunc(sorted, func(a, b layer) int { return cmp.Compare(stay[b.digest], stay[a.digest]) })
	return sorted
}

// stability returns the chance that a component stays unchanged for a week. It is computed from the
// number of days in the last year on which the component was updated. It is 0 for components
// without updates, such as package databases and files that no package owns, including large files.
func (s *state) stability(c component) float64 {
	if len(c.updates) == 0 {
		return 0
	}
	const day = 86400 // seconds
	days := map[int64]bool{}
	oldest := s.now
	for _, u := range c.updates {
		if u <= s.now && u >= s.now-365*day {
			days[u/day] = true
			oldest = min(oldest, u)
		}
	}
	span := float64(s.now-oldest) / day
	switch {
	case len(days) == 0:
		return 0.99
	case span < 1:
		return 0
	}
	return math.Exp(-7 * float64(len(days)) / span)
}

// hashed distributes components over n layers by their names. Then the largest component that
// shares a layer with others is moved to each empty layer.
func hashed(list []component, n int) [][]component {
	bins := make([][]component, n)
	for _, c := range list {
		h := fnv.New64a()
		h.Write([]byte(c.name))
		h.Write([]byte{0xff}) // as Rust hashes a str
		i := h.Sum64() % uint64(n)
		bins[i] = append(bins[i], c)
	}
	for e := range bins {
		if len(bins[e]) > 0 {
			continue
		}
		bin, at := -1, -1
		for b := range bins {
			for i, c := range bins[b] {
				if len(bins[b]) > 1 && (bin < 0 || c.size > bins[bin][at].size) {
					bin, at = b, i
				}
			}
		}
		if bin < 0 {
			break
		}
		bins[e] = bins[bin][at : at+1 : at+1]
		bins[bin] = slices.Concat(bins[bin][:at], bins[bin][at+1:])
	}
	return slices.DeleteFunc(bins, func(b []component) bool { return len(b) == 0 })
}
