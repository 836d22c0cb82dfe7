package pack

import (
	"math"
	"slices"
	"strings"

	"chunkah/lib/chain"
	"chunkah/lib/group"
)

// Explanation describes the downloads that a plan is expected to cause, with reasons. Bytes are tar
// sizes. Chances are per week, in parts per million. Expected bytes are the bytes of the layers
// that change. The figures by chain also include all layers above a changed layer (package chain).
type Explanation struct {
	Max           int   `json:"max"`
	First         int64 `json:"first_layer,omitempty"` // the number of layers kept from the source; they are below Layers
	Bytes         int64 `json:"bytes"`
	Expected      int64 `json:"expected_bytes"`
	ChainExpected int64 `json:"chain_expected_bytes"`
	Layers        []Why `json:"layers"`
	// Patch describes the previous image's layers with --max-stale; nil if --max-stale is not used.
	Patch *PatchWhy `json:"patch,omitempty"`
	Fewer *Change   `json:"one_layer_fewer,omitempty"`
	More  *Change   `json:"one_layer_more,omitempty"`
}

// Why explains one layer.
type Why struct {
	Bytes     int64 `json:"bytes"`
	ChangePPM int64 `json:"change_ppm"`
	Expected  int64 `json:"expected_bytes"`
	// ChainPPM is the chance that neither the layer nor any layer below it changes.
	ChainPPM      int64    `json:"chain_stability_ppm"`
	ChainExpected int64    `json:"chain_expected_bytes"`
	Components    []string `json:"components"`
	// Apart is what the expected cost would be if each component had its own layer.
	Apart int64 `json:"expected_bytes_apart"`
	// Neighbour is the layer into which this layer could be merged at the lowest cost. Joined is
	// the additional cost of that merge. They are -1 and 0 if there is only one layer.
	Neighbour int   `json:"cheapest_neighbour"`
	Joined    int64 `json:"expected_bytes_joined"`
	// Was compares the layer with the previous image. It is empty if there is no previous image.
	Was Past `json:"previous,omitempty"`
}

// Past is the state of a layer in the previous image.
type Past string

// These are the states of a layer in the previous image.
const (
	PastKept    Past = "kept"    // the same components, unchanged
	PastChanged Past = "changed" // the same components, some of them changed
	PastNew     Past = "new"     // no layer had exactly these components
)

// Change is the effect of using a different number of layers.
type Change struct {
	Max           int   `json:"max"`
	Layers        int   `json:"layers"`
	Expected      int64 `json:"expected_bytes"`
	ChainExpected int64 `json:"chain_expected_bytes"`
	// Differ is the number of layers that are not in the current plan.
	Differ int `json:"layers_that_differ"`
}

// weight contains the two factors of a layer's cost.
type weight struct{ bytes, stay int64 }

// ppm is one, in parts per million.
const ppm = 1_000_000

func (w weight) cost() int64 { return scale(w.bytes, ppm-w.stay) }

// scale multiplies bytes and a chance without overflow.
func scale(bytes, chance int64) int64 { return bytes/ppm*chance + bytes%ppm*chance/ppm }

// weigh returns the sizes and chances of a plan's layers.
func (f *fitter) weigh(plan []group.Layer) []weight {
	weights := make([]weight, len(plan))
	for i, l := range plan {
		weights[i] = weight{f.sizeOf(l.Members), l.Stability}
	}
	return weights
}

// chains returns each layer's size with the chance that neither the layer nor any layer below it
// changes. Layers kept from a source are assumed not to change.
func chains(weights []weight) []weight {
	layers := make([]chain.Layer, len(weights))
	for i, w := range weights {
		layers[i] = chain.Layer{Bytes: w.bytes, Stay: float64(w.stay) / ppm}
	}
	all := make([]weight, len(weights))
	for i, stay := range chain.Stay(layers) {
		all[i] = weight{weights[i].bytes, int64(math.Round(stay * ppm))}
	}
	return all
}

// total returns the total expected cost of layers.
func total(weights []weight) (cost int64) {
	for _, w := range weights {
		cost += w.cost()
	}
	return cost
}

func (t *tree) explain(plan []group.Layer, opt group.Options, most int64) *Explanation {
	f := newFitter(t, opt, most)
	weights := f.weigh(plan)
	byChain := chains(weights)
	stability := t.stability(opt)
	e := &Explanation{Max: opt.Max, Expected: total(weights), ChainExpected: total(byChain)}
	for i, l := range plan {
		w := Why{
			Bytes: weights[i].bytes, ChangePPM: ppm - l.Stability, Expected: weights[i].cost(),
			ChainPPM: byChain[i].stay, ChainExpected: byChain[i].cost(), Was: t.past(l, opt.Previous),
		}
		for _, m := range l.Members {
			w.Components = append(w.Components, t.components[m].record.Name)
			w.Apart += weight{t.components[m].size, stability[m]}.cost()
		}
		w.Neighbour, w.Joined = cheapest(weights, i)
		e.Layers = append(e.Layers, w)
		e.Bytes += w.Bytes
	}
	e.Fewer, e.More = t.change(f, plan, opt, most, -1), t.change(f, plan, opt, most, 1)
	return e
}

// stability returns, for each component, the chance that it does not change, as if it had its own
// layer.
func (t *tree) stability(opt group.Options) []int64 {
	items := t.items()
	list := make([]int64, len(items))
	for _, l := range group.Plan(items, group.Options{Max: len(items), Now: opt.Now}) {
		list[l.Members[0]] = l.Stability
	}
	return list
}

// cheapest finds the layer into which layer i can be merged at the lowest cost, assuming that both
// change independently.
func cheapest(weights []weight, i int) (at int, price int64) {
	at, price = -1, math.MaxInt64
	a := weights[i]
	for j, b := range weights {
		if j == i {
			continue
		}
		both := weight{a.bytes + b.bytes, a.stay * b.stay / ppm}
		if p := both.cost() - a.cost() - b.cost(); p < price {
			at, price = j, p
		}
	}
	if at < 0 {
		return at, 0
	}
	return at, max(price, 0) // rounding aside, no merge is free
}

// change plans with more layers, or with fewer layers if more is negative. It returns nil if no
// such plan exists.
func (t *tree) change(f *fitter, plan []group.Layer, opt group.Options, most int64, more int) *Change {
	if opt.Max += more; opt.Max < MinMax || more > 0 && len(plan) == len(t.components) {
		return nil
	}
	other, err := t.group(opt, most)
	if err != nil {
		return nil
	}
	weights := f.weigh(other)
	c := &Change{Max: opt.Max, Layers: len(other), Expected: total(weights), ChainExpected: total(chains(weights))}
	for _, l := range other {
		if !slices.ContainsFunc(plan, func(p group.Layer) bool { return slices.Equal(p.Members, l.Members) }) {
			c.Differ++
		}
	}
	return c
}

// past compares a layer with the previous image.
func (t *tree) past(l group.Layer, prev *group.Previous) Past {
	if prev == nil {
		return ""
	}
	now := make([]group.Member, len(l.Members))
	for i, m := range l.Members {
		rec := t.components[m].record
		now[i] = group.Member{Name: rec.Name, Fingerprint: short(rec.Fingerprint)}
	}
	for _, was := range prev.Layers {
		if len(was) != len(now) {
			continue
		}
		was = slices.SortedFunc(slices.Values(was), func(a, b group.Member) int { return strings.Compare(a.Name, b.Name) })
		if !slices.EqualFunc(was, now, func(a, b group.Member) bool { return a.Name == b.Name }) {
			continue
		}
		if slices.EqualFunc(was, now, func(a, b group.Member) bool { return a.Fingerprint == "" || a.Fingerprint == b.Fingerprint }) {
			return PastKept
		}
		return PastChanged
	}
	return PastNew
}
