package pack

import (
	"slices"
	"sort"

	"chunkah/format"
	"chunkah/lib/group"
)

// layers hands out a plan, layer by layer.
type layers struct {
	t *tree
	// in is the last layer that each file was put in, counted from 1.
	in []int64
}

func newLayers(t *tree) *layers { return &layers{t: t, in: make([]int64, len(t.files))} }

// write writes one layer: its record, then its files in order, with every
// directory above them.
func (l *layers) write(out format.Sink, index int64, g group.Layer) error {
	rec := &format.Layer{Index: index, StabilityPPM: g.Stability}
	members := make(map[string]bool)
	clamp, first := int64(0), true
	var files []int
	for _, m := range g.Members {
		c := l.t.components[m]
		rec.Components = append(rec.Components, c.record.Name)
		members[c.record.Name] = true
		if first || c.clamp > clamp {
			clamp, first = c.clamp, false
		}
		for _, i := range c.files {
			files = l.put(files, i, index+1)
		}
	}
	slices.Sort(rec.Components)
	rec.Fingerprints = l.t.fingerprints(rec.Components)
	if err := out.Write(rec); err != nil {
		return err
	}
	sort.Ints(files)
	for _, i := range files {
		if err := out.Write(l.entry(i, members, clamp)); err != nil {
			return err
		}
	}
	return nil
}

// put adds a file and the directories above it that the layer does not have.
func (l *layers) put(files []int, i int, layer int64) []int {
	for ; i >= 0 && l.in[i] != layer; i = l.t.parents[i] {
		l.in[i] = layer
		files = append(files, i)
	}
	return files
}

// entry returns the record as the layer holds it. A directory may be in many
// layers; its time is the layer's.
func (l *layers) entry(i int, members map[string]bool, clamp int64) *format.File {
	f := l.t.files[i]
	if f.Type != format.TypeDir {
		return f
	}
	dir := *f
	dir.MTime, dir.MTimeNsec = clamp, 0
	dir.Components = nil
	for _, name := range f.Components {
		if members[name] {
			dir.Components = append(dir.Components, name)
		}
	}
	dir.Implied = dir.Components == nil
	return &dir
}
