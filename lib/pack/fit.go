package pack

import (
	"cmp"
	"fmt"
	"slices"

	"chunkah/lib/group"
)

// maxTries limits how often the components are planned again with fewer layers, to make room for
// split layers.
const maxTries = 6

// group puts the components into layers.
func (t *tree) group(opt group.Options, most int64) ([]group.Layer, error) {
	items := t.items()
	layers := group.Plan(items, opt)
	if most == 0 {
		return layers, nil
	}
	f := newFitter(t, opt, most)
	fewer := opt
	for range maxTries {
		fitted := f.fit(layers)
		if len(fitted) <= opt.Max {
			return t.arrange(fitted, opt), nil
		}
		if fewer.Max == 1 {
			break
		}
		fewer.Max = max(fewer.Max-(len(fitted)-opt.Max), 1)
		layers = group.Plan(items, fewer)
	}
	fitted := f.tight()
	if len(fitted) <= opt.Max {
		return t.arrange(fitted, opt), nil
	}
	total := int64(0)
	for _, c := range t.components {
		total += c.size
	}
	return nil, fmt.Errorf("packing %d bytes into layers of at most %d (--max-layer-size): this needs %d layers, but --max is %d: raise one of the two",
		total, most, len(fitted), opt.Max)
}

// arrange puts split layers into order and computes their stability.
func (t *tree) arrange(layers []group.Layer, opt group.Options) []group.Layer {
	groups := make([][]int, len(layers))
	for i, l := range layers {
		groups[i] = l.Members
	}
	return group.Arrange(t.items(), groups, opt)
}

// fitter keeps layers within the size limit.
type fitter struct {
	*cutter
	layer map[string]int // by component: its layer in the previous image
}

func newFitter(t *tree, opt group.Options, most int64) *fitter {
	return &fitter{cutter: newCutter(t, most), layer: layersByComponent(opt.Previous)}
}

func layersByComponent(prev *group.Previous) map[string]int {
	layer := make(map[string]int)
	if prev == nil {
		return layer
	}
	for n, l := range prev.Layers {
		for _, m := range l {
			layer[m.Name] = n
		}
	}
	return layer
}

// fit splits the layers that are too large.
func (f *fitter) fit(layers []group.Layer) []group.Layer {
	var fitted []group.Layer
	for _, l := range layers {
		if len(l.Members) == 1 || f.sizeOf(l.Members) <= f.most {
			fitted = append(fitted, l)
			continue
		}
		var units []unit
		for _, set := range f.together(l.Members) {
			units = append(units, f.unit(set))
		}
		for _, part := range f.cut(units) {
			var members []int
			for _, u := range part {
				members = append(members, u.members...)
			}
			fitted = append(fitted, group.Layer{Members: members})
		}
	}
	return fitted
}

func (f *fitter) sizeOf(members []int) int64 { return f.size([]unit{f.unit(members)}) }

// unit combines components into one unit. The first component's name determines the position of the
// unit.
func (f *fitter) unit(members []int) unit {
	u := unit{members: members, hash: hashOf(f.t.components[members[0]].record.Name)}
	for _, m := range members {
		u.files = append(u.files, f.t.components[m].files...)
		u.size += f.t.components[m].size
	}
	return u
}

// together lists members by name. Members that shared a layer in the previous image stay together
// if they still fit, because clients would have to download both parts if they were separated.
func (f *fitter) together(members []int) [][]int {
	var sets [][]int
	at := make(map[int]int)
	for _, m := range members {
		before, known := f.layer[f.t.components[m].record.Name]
		n, met := at[before]
		if known && met {
			sets[n] = append(sets[n], m)
			continue
		}
		if known {
			at[before] = len(sets)
		}
		sets = append(sets, []int{m})
	}
	var fitting [][]int
	for _, set := range sets {
		if len(set) == 1 || f.sizeOf(set) <= f.most {
			fitting = append(fitting, set)
			continue
		}
		for i := range set {
			fitting = append(fitting, set[i:i+1:i+1])
		}
	}
	return fitting
}

// tight fills layers up to the size limit, starting with the largest components. This is the last
// resort if the number of layers is barely sufficient.
func (f *fitter) tight() []group.Layer {
	order := make([]int, len(f.t.components))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(f.t.components[b].size, f.t.components[a].size) })
	var bins [][]int
	left := newCapacities(len(order), f.most) // ignoring directories that components can share
	for _, m := range order {
		alone := f.sizeOf([]int{m})
		at := left.first(min(alone, f.most)) // a component that is too large gets its own layer
		if at == len(bins) {
			bins = append(bins, nil)
		}
		bins[at] = append(bins[at], m)
		left.take(at, alone)
	}
	layers := make([]group.Layer, len(bins))
	for i, members := range bins {
		layers[i].Members = members
	}
	return layers
}
