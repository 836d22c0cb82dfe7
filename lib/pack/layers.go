package pack

import (
	"context"
	"slices"

	"chunkah/format"
	"chunkah/lib/group"
	"chunkah/lib/plan"
)

// marks finds the directories above files. In each section it finds each directory only once.
type marks struct {
	t *tree
	// in contains, for each file, the number of the last section that contained it, from 1.
	in []int
}

func newMarks(t *tree) *marks { return &marks{t: t, in: make([]int, len(t.files))} }

// climb visits files and all directories above them that are not in this section yet. It stops
// early when the work limit is reached. The function cost returns the cost of a directory.
func (m *marks) climb(files []int, section int, cost func(i int) int64, visit func(i int)) {
	for _, file := range files {
		for i := file; i >= 0 && m.in[i] != section; i = m.t.parents[i] {
			if i != file && !m.t.effort.take(cost(i), m.t.files[i].Path) {
				return
			}
			m.in[i] = section
			visit(i)
		}
	}
}

// withParents returns files together with all directories above them, in order. It also counts the
// work that the caller will do to read or write the records.
func (m *marks) withParents(files []int, section int) []int {
	whole := make([]int, 0, len(files)+len(files)/4)
	m.climb(files, section, m.t.recordCost, func(i int) { whole = append(whole, i) })
	slices.Sort(whole)
	return whole
}

// layers writes a plan layer by layer.
type layers struct {
	plan  *contentsOfLayers
	t     *tree
	marks *marks
}

func newLayers(plan *contentsOfLayers) *layers {
	return &layers{plan: plan, t: plan.above, marks: newMarks(plan.above)}
}

// write writes one layer: its record, then its files in order, including all directories above
// them.
func (l *layers) write(ctx context.Context, out format.Sink, index int, g group.Layer) error {
	members := make(map[string]bool)
	clamp := l.t.components[g.Members[0]].clamp
	var files []int
	for _, m := range g.Members {
		c := l.t.components[m]
		members[c.record.Name] = true
		clamp = max(clamp, c.clamp)
		files = append(files, c.files...)
	}
	whole := l.marks.withParents(files, index+1)
	if err := l.t.effort.err(); err != nil {
		return err
	}
	record := l.t.record(int64(len(l.plan.kept)+index), g)
	if index == 0 {
		record.Rewritten, record.Reasons = l.plan.rewritten, l.plan.reasons
	}
	if l.plan.entries {
		entries := plan.NewEntries()
		for _, i := range whole {
			entries.Add(l.entry(i, members, clamp))
		}
		var err error
		if record.Entries, err = entries.Digest(); err != nil {
			return err
		}
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for _, i := range whole {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := out.Write(l.entry(i, members, clamp)); err != nil {
			return err
		}
	}
	return nil
}

// entry returns a file's record for a layer. A directory can be in many layers and gets each
// layer's time.
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
