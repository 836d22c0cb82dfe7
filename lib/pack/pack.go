// Package pack puts tagged files into layers.
//
// It reads a whole stream, decides which components share a layer (package group has the rule), and
// writes the layers: each layer's record, followed by its files in order and their parent
// directories. The output has exactly the entries of each layer's tar: times are clamped here, and
// control xattrs are removed. It reads only files whose times no package bounds, because their
// component keeps the previous image's times while its contents stay the same; and with MaxStale
// also those whose digests are unknown.
package pack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"chunkah/format"
	"chunkah/lib/group"
	"chunkah/lib/interrupt"
)

// DefaultMax is the default number of layers: every engine supports it, and more can be added on
// top.
const DefaultMax = 64

// The limits of --max. See ManyLayers and MostLayers.
const (
	MinMax = 1
	MaxMax = 500 // of containers-storage, measured
)

// ManyLayers is the largest number of layers that every common engine runs: docker's overlay2 store
// refuses 126 (measured, docker 20.10), podman runs 128.
const ManyLayers = 125

// MostLayers leaves room for a container file to add some layers: containers-storage supports 500
// in all.
const MostLayers = 448

// Options tune a pack.
type Options struct {
	// Max is the maximum number of layers in the image, including those kept of its source; 0 means
	// DefaultMax.
	Max int
	// MaxLayerSize bounds a layer's tar, in bytes; 0 means no limit. Larger components are split; a
	// single file that is larger gets its own layer.
	MaxLayerSize int64
	// Previous is the layout of the last image, nil if there is none.
	Previous *group.Previous
	// MaxStale bounds the stale bytes of the layers that are kept of Image, in parts per million of
	// the root's bytes (package patch). 0 keeps no layers.
	MaxStale int64
	// Image is the last image; nil if there is none, or MaxStale is 0.
	Image *Image
	// Open opens the source in a header, to find out whether contents have changed. If it is nil,
	// or its error is fs.ErrNotExist or fs.ErrPermission, contents are unknown: no component keeps
	// the last image's times, and files keep their own.
	Open func(context.Context, *format.Header) (Source, error)
	// Incomplete says that package write gets the records of layers, and completes Contents of
	// components whose files pack need not read. A plan (Planned) and patch layers need them here.
	Incomplete bool
	// Threads bounds how many files are read in parallel; 0 means the number of cores.
	Threads int
	// KeepXattrs are control xattrs that stay in the image.
	KeepXattrs []string
	// Explain requests Report.Explanation.
	Explain bool
	// Contents requests Report.Contents.
	Contents bool
	// Planned, if not nil, gets the plan before the first record is written. Its error ends the run
	// without output.
	Planned func([]Planned) error
}

// Report describes the result of a pack.
type Report struct {
	Layers     int
	Components int
	// Bytes is the size of the components in tars, without contents of unknown size and repeated
	// directories.
	Bytes int64
	// Stripped counts the files that lost a control xattr, by its name.
	Stripped map[string]int64
	// Now is the clock of grouping, in unix seconds: the newest known update, 0 for none.
	Now int64
	// NoSource says that no component could keep the last image's times, because there was no
	// source to compare.
	NoSource bool
	// Closed is the number of components that could not keep these times, because a file may not be
	// read.
	Closed int
	// Unbounded is the number of components whose times no package bounds, and Kept how many of
	// those have the last image's times.
	Unbounded, Kept int
	// Odd is the number of components whose newest file is dated before 1970 or after 2242: their
	// files keep their own times.
	Odd int
	// Plan describes each layer. In the image they are above the kept layers of the source, whose
	// number is Base.
	Plan []Planned
	Base int
	// Explanation and Contents, by name, are set if requested.
	Explanation *Explanation
	Contents    []Content
	// Patch describes the layers of the last image, nil if none is kept.
	Patch *Patch
	// Oversized are files that are larger than the layer limit.
	Oversized []Oversized
}

// Planned is one layer of a plan.
type Planned struct {
	Record *format.Layer
	// Bytes is the sum of the components' tars, or that of the files of a kept layer.
	Bytes int64
}

// ErrNoComponents means that no record in the stream has a component.
var ErrNoComponents = errors.New("no file has a component: run chunkah-assign, or your own assigner, before chunkah-pack")

// Run reads a stream of tagged files and writes one of layers.
func Run(ctx context.Context, in format.Source, out format.Sink, opt Options) (*Report, error) {
	if opt.Max == 0 {
		opt.Max = DefaultMax
	}
	if opt.Max < MinMax || opt.Max > MaxMax {
		return nil, fmt.Errorf("packing into %d layers: want %d to %d", opt.Max, MinMax, MaxMax)
	}
	t, err := read(ctx, in)
	if err != nil {
		return nil, err
	}
	// Planning does not check the context: it is work in memory, and can take a while.
	report, err := interrupt.Call(ctx, func() (*Report, error) { return t.prepare(&opt) })
	if err != nil {
		return nil, err
	}
	if opt.Open != nil {
		err := t.read(ctx, &opt)
		if err != nil && !errors.Is(err, errNoSource) {
			return nil, err
		}
		report.NoSource = err != nil && opt.dated()
	}
	plan, err := interrupt.Call(ctx, func() (*contentsOfLayers, error) { return t.plan(opt, report) })
	if err != nil {
		return nil, err
	}
	if opt.Planned != nil {
		if err := opt.Planned(report.Plan); err != nil {
			return nil, err
		}
	}
	return report, t.write(ctx, out, plan)
}

// contentsOfLayers is the content of the layers.
type contentsOfLayers struct {
	kept   []ImageLayer
	above  *tree // with the files of the layers above
	layers []group.Layer
	// entries requests the digests of their entries.
	entries bool
}

// prepare completes the tree except for everything that depends on contents.
func (t *tree) prepare(opt *Options) (*Report, error) {
	if err := t.finishReading(); err != nil {
		return nil, err
	}
	if opt.Max -= int(t.header.KeepLayers); opt.Max < 1 {
		return nil, fmt.Errorf("packing into %d layers: %d layers of the source are kept, which leaves none", opt.Max+int(t.header.KeepLayers), t.header.KeepLayers)
	}
	report := &Report{Stripped: t.strip(opt.KeepXattrs)}
	t.clamp()
	t.measure()
	if opt.MaxLayerSize > 0 {
		report.Oversized = t.split(opt.MaxLayerSize)
	}
	return report, t.effort.err()
}

// plan sets the components' times and puts them into layers.
func (t *tree) plan(opt Options, report *Report) (*contentsOfLayers, error) {
	report.Kept = t.date(opt.Previous)
	if t.digests != nil && opt.dated() {
		report.Closed = t.digests.closed
	}
	t.fingerprint()
	t.learn(opt.Previous)
	if err := t.effort.err(); err != nil {
		return nil, err
	}
	// The clock is the newest update. The source date and users' times say how old files should
	// look, not when packages were made.
	groupOpt := group.Options{Max: opt.Max, Previous: opt.Previous}
	out, err := t.patch(&groupOpt, &opt, report)
	if err != nil {
		return nil, err
	}
	if opt.Explain {
		report.Explanation = out.above.explain(out.layers, groupOpt, opt.MaxLayerSize)
		report.Explanation.First = t.header.KeepLayers + int64(len(out.kept))
		report.Explanation.Patch = report.Patch.explain()
	}
	if err := t.effort.err(); err != nil {
		return nil, err
	}
	if opt.Contents {
		report.Contents = t.contents(groupOpt)
	}
	report.Layers, report.Components = len(out.kept)+len(out.layers), len(t.components)
	report.Base = int(t.header.KeepLayers)
	for _, c := range t.components {
		report.Bytes += c.size
		for _, at := range c.record.Updates {
			report.Now = max(report.Now, at)
		}
		if !c.bounded {
			report.Unbounded++
		}
		if c.odd && opt.Open != nil {
			report.Odd++
		}
	}
	for i, k := range out.kept {
		report.Plan = append(report.Plan, Planned{Record: k.record(int64(i)), Bytes: k.bytes})
	}
	for i, l := range out.layers {
		report.Plan = append(report.Plan, out.above.describe(int64(len(out.kept)+i), l))
	}
	return out, nil
}

// describe returns the description of a layer in the plan.
func (t *tree) describe(index int64, l group.Layer) Planned {
	p := Planned{Record: t.record(index, l)}
	for _, m := range l.Members {
		p.Bytes += t.components[m].size
	}
	return p
}

// record returns a layer's record.
func (t *tree) record(index int64, l group.Layer) *format.Layer {
	rec := &format.Layer{Index: index, StabilityPPM: l.Stability}
	for _, m := range l.Members {
		rec.Components = append(rec.Components, t.components[m].record.Name)
	}
	slices.Sort(rec.Components)
	known := false
	for _, name := range rec.Components {
		c := t.byName[name]
		rec.Fingerprints = append(rec.Fingerprints, short(c.record.Fingerprint))
		rec.Times, rec.Contents = append(rec.Times, c.clamp), append(rec.Contents, c.contents)
		known = known || c.contents != ""
	}
	if !known {
		rec.Times, rec.Contents = nil, nil
	}
	t.addLearned(rec)
	return rec
}

// read reads a stream and checks how its records fit together.
func read(ctx context.Context, in format.Source) (*tree, error) {
	t := newTree()
	for rec, err := range format.All(in) {
		if err != nil {
			return nil, err
		}
		switch rec := rec.(type) {
		case *format.Header:
			if rec.Stage == format.StagePack {
				return nil, errors.New("the stream has been packed already: pass it to chunkah-write")
			}
			t.header = *rec
		case *format.Layer:
			return nil, errors.New("the stream has layers already: pass it to chunkah-write")
		case *format.Component:
			if err := t.addRecord(rec); err != nil {
				return nil, err
			}
		case *format.File:
			t.files = append(t.files, rec)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return t, nil
}

// write writes the plan as layers.
func (t *tree) write(ctx context.Context, out format.Sink, plan *contentsOfLayers) error {
	header := t.header
	header.Version, header.Stage = format.Version, format.StagePack
	if err := out.Write(&header); err != nil {
		return err
	}
	for _, c := range t.components {
		if err := out.Write(c.record); err != nil {
			return err
		}
	}
	for i, k := range plan.kept {
		if err := k.write(ctx, out, int64(i)); err != nil {
			return err
		}
	}
	l := newLayers(plan.above, len(plan.kept), plan.entries)
	for i, g := range plan.layers {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := l.write(ctx, out, i, g); err != nil {
			return err
		}
	}
	return out.Finish()
}

// items returns the components for the planner.
func (t *tree) items() []group.Component {
	items := make([]group.Component, len(t.components))
	for i, c := range t.components {
		items[i] = group.Component{
			Name: c.record.Name, Size: c.size, Updates: c.record.Updates,
			IntervalDays: c.record.IntervalDays, Fingerprint: short(c.record.Fingerprint),
			Surprises: c.learned.Surprises,
		}
	}
	return items
}

// addRecord keeps the record of a component.
func (t *tree) addRecord(rec *format.Component) error {
	if _, twice := t.records[rec.Name]; twice {
		return fmt.Errorf("component %q has two records", rec.Name)
	}
	t.records[rec.Name] = rec
	return nil
}

// sortedNames returns the keys of a map in order.
func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
