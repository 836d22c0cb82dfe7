// Package group plans the layers of an image from its components' sizes and update histories.
//
// A plan minimises the bytes that a client with the previous image is expected to download for the
// next one. A layer is downloaded if any of its components changes, or if its set of components
// changes. Without the previous image, the plan must also stay the same from build to build, so it
// depends only on things that rarely change (see stateless.go). With the previous image, moving
// components has a cost (see previous.go). docs/research/grouping.md describes the model, the
// measurements and the limits.
//
// The package is deterministic: it uses no clock, no random numbers and no floating point.
package group

import (
	"cmp"
	"slices"
)

// Component is the input for one component.
type Component struct {
	Name         string  // unique; components with equal names are still planned
	Size         int64   // bytes in the tar; less than 1 counts as 1
	Updates      []int64 // unix seconds of the known updates, any order, may be empty
	IntervalDays int64   // days between updates, 0 = unknown; used if no update is known yet
	Fingerprint  string  // "" = unknown; only a different known fingerprint means that the component changed
	Surprises    Surprises
}

// Member is one component of a previous layer.
type Member struct{ Name, Fingerprint string }

// Previous is the layout of the previous image. Any layout is accepted. If a component is unknown,
// repeated or missing, its layer counts as changed.
type Previous struct {
	Layers [][]Member
	// Times contains the components whose contents are known. Grouping does not use it. The code
	// that sets file times does.
	Times map[string]Dated
	// Learned describes the changes of its components in the images up to this one (see Learn).
	Learned map[string]Learned
}

// Dated describes the contents of a component and the time that its files had, in Unix seconds.
type Dated struct {
	Contents string
	Time     int64
}

// Options are the other inputs of a plan.
type Options struct {
	Max      int       // maximum number of layers; less than 1 counts as 1
	Now      int64     // unix seconds of the build's clock; less than 1 = the newest update
	Previous *Previous // nil = no previous image
}

// Layer is one layer of a plan.
type Layer struct {
	Members   []int // indexes into the input, ascending
	Stability int64 // chance that the layer stays unchanged for a week, in parts per million
}

// Plan puts every component into exactly one of at most opt.Max layers. No layer is empty. The
// order of the components does not matter. Layers are returned from the bottom up (see order.go).
func Plan(components []Component, opt Options) []Layer {
	if len(components) == 0 {
		return nil
	}
	in := newInput(components, opt)
	var groups [][]int
	switch {
	case len(in.cs) <= in.limit:
		groups = in.alone()
	case opt.Previous != nil:
		groups = in.withPrevious(opt.Previous)
	default:
		groups = in.stateless()
	}
	return in.layers(groups, opt.Previous)
}

// Arrange makes layers from the given groups of indexes into components. It sorts the layers and
// computes their stability. Each component must be in exactly one group.
func Arrange(components []Component, groups [][]int, opt Options) []Layer {
	in := newInput(components, opt)
	at := make([]int, len(components)) // the caller's index -> canonical
	for i, o := range in.order {
		at[o] = i
	}
	canonical := make([][]int, len(groups))
	for i, g := range groups {
		for _, c := range g {
			canonical[i] = append(canonical[i], at[c])
		}
	}
	return in.layers(canonical, opt.Previous)
}

// input is a plan's input in canonical order, with derived values.
type input struct {
	cs    []Component
	order []int   // canonical index -> the caller's
	size  []int64 // bytes, scaled so that costs cannot overflow
	limit int     // maximum number of layers
	now   int64   // unix seconds: the clock, or the newest update if that is earlier
	last  bool    // the histories contain only the last update (see lastOnly)
}

func newInput(components []Component, opt Options) *input {
	in := &input{order: make([]int, len(components)), limit: max(opt.Max, 1)}
	for i := range in.order {
		in.order[i] = i
	}
	slices.SortStableFunc(in.order, func(a, b int) int { return compare(&components[a], &components[b]) })
	for _, o := range in.order {
		in.cs = append(in.cs, components[o])
	}
	in.size = sizes(in.cs)
	in.now = newest(in.cs, opt.Now)
	in.last = lastOnly(in.cs)
	return in
}

// compare sorts components by name. The other fields only determine the order of components with
// equal names.
func compare(a, b *Component) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Size, b.Size), slices.Compare(a.Updates, b.Updates),
		cmp.Compare(a.IntervalDays, b.IntervalDays), cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Surprises, b.Surprises))
}

// maxTotal is the largest sum of all sizes. 2^50 bytes times a horizon of 16 weeks leaves room to
// add several costs in an int64.
const maxTotal = uint64(1) << 50

// sizes returns the sizes. If their sum exceeds maxTotal, all sizes are halved until it does not.
func sizes(cs []Component) []int64 {
	out := make([]int64, len(cs))
	for shift := 0; ; shift++ {
		total := uint64(0)
		for i := range cs {
			out[i] = max(max(cs[i].Size, 1)>>shift, 1)
			if total <= maxTotal {
				total += uint64(out[i])
			}
		}
		if total <= maxTotal || shift > 62 {
			return out
		}
	}
}

// alone gives each component its own layer.
func (in *input) alone() [][]int {
	g := make([][]int, len(in.cs))
	for i := range g {
		g[i] = []int{i}
	}
	return g
}

// layers converts groups of canonical indexes into layers of the caller's indexes. The stability is
// the current one, even if the plan uses older rates.
func (in *input) layers(groups [][]int, prev *Previous) []Layer {
	for _, g := range groups {
		slices.Sort(g)
	}
	ps := rates(in.cs, in.histories(in.now))
	out := make([]Layer, len(groups))
	for i, g := range in.ordered(groups, prev) {
		stay := one
		for _, c := range g {
			stay = times(stay, one-ps[c])
			out[i].Members = append(out[i].Members, in.order[c])
		}
		slices.Sort(out[i].Members)
		out[i].Stability = int64(stay * 1e6 / one)
	}
	return out
}
