// Package pack puts tagged files into layers.
//
// It reads a whole stream, decides which components share a layer (see package group), and writes
// the layers: each layer's record, followed by its files in order and their parent directories. The
// output contains exactly the entries of each layer's tar. The package clamps times and removes
// control xattrs. The package reads the contents of files in components without an mtime clamp,
// because such a component keeps the previous image's times while its contents stay the same. With
// MaxStale it also reads files whose digests are unknown.
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

// defaultMax is the default number of layers. Every engine supports it, and users can add more
// layers on top.
const defaultMax = 64

// These are the limits of --max. See ManyLayers and MostLayers.
const (
	MinMax = 1
	MaxMax = 500 // the limit of containers-storage, measured
)

// ManyLayers is the largest number of layers that every common engine runs: docker's overlay2 store
// refuses 126 (measured, docker 20.10), podman runs 128.
const ManyLayers = 125

// MostLayers leaves room for a Containerfile to add some layers, because containers-storage
// supports at most 500 layers.
const MostLayers = 448

// Options configure a pack.
type Options struct {
	// Max is the maximum number of layers in the image, including layers kept from its source; 0
	// means DefaultMax.
	Max int
	// MaxLayerSize limits the size of a layer's tar, in bytes; 0 means no limit. Larger components
	// are split. A single file that is larger gets its own layer.
	MaxLayerSize int64
	// PreviousLayout is the layout of the previous image, nil if there is none.
	PreviousLayout *group.Previous
	// MaxStale limits the stale bytes of the layers that are kept from PreviousImage, in parts per
	// million of the root's bytes (package patch). 0 keeps no layers.
	MaxStale int64
	// PreviousImage is the previous image; nil if it does not exist or MaxStale is 0.
	PreviousImage *Image
	// Open opens the source in a header, to find out whether contents have changed. If Open is nil
	// or fails with fs.ErrNotExist or fs.ErrPermission, contents are unknown: no component keeps
	// the previous image's times, and files keep their own times.
	Open func(context.Context, *format.Header) (Contents, error)
	// Incomplete means that package write receives the layers' records and completes Contents for
	// components whose files pack does not have to read. A plan (Planned) and patch layers need
	// complete Contents from pack, so do not set Incomplete for them.
	Incomplete bool
	// Threads limits how many files are read in parallel; 0 means the number of cores.
	Threads int
	// KeepXattrs lists control xattrs that stay in the image.
	KeepXattrs []string
	// Explain requests Report.Explanation.
	Explain bool
	// Contents requests Report.Contents.
	Contents bool
	// Planned, if not nil, receives the plan before the first record is written. If it returns an
	// error, the run ends without output.
	Planned func([]Planned) error
}

// Report is the result of a pack.
type Report struct {
	Layers     int
	Components int
	// Bytes is the tar size of the components. It excludes contents of unknown size and repeated
	// directories.
	Bytes int64
	// Stripped counts, by control xattr, the files that lost it.
	Stripped map[string]int64
	// Now is the time that grouping uses as the current time: the newest known update, in unix
	// seconds, 0 if no update is known.
	Now int64
	// NoSource means that no component could keep the previous image's times, because the source
	// was not available for comparison.
	NoSource bool
	// Closed is the number of components that could not keep the previous image's times, because
	// the user is not permitted to read one of their files.
	Closed int
	// Unbounded is the number of components without an mtime clamp. KeptTimes is the number of
	// those components that kept the previous image's times.
	Unbounded, KeptTimes int
	// Odd is the number of components whose newest file is dated before 1970 or after 2242. Their
	// files keep their own times.
	Odd int
	// Plan describes each new layer. Base is the number of layers below them in the image, which
	// are kept from the source.
	Plan []Planned
	Base int
	// Explanation and Contents, which is sorted by name, are set if requested.
	Explanation *Explanation
	Contents    []Content
	// Patch describes the layers of the previous image; nil if no layer is kept.
	Patch *Patch
	// Oversized lists files that are larger than the layer size limit.
	Oversized []Oversized
}

// Planned is one layer of a plan.
type Planned struct {
	Record *format.Layer
	// Bytes is the tar size of the components or, for a kept layer, of its files.
	Bytes int64
}

// errNoComponents means that no record in the stream has a component.
var errNoComponents = errors.New("no file has a component: run chunkah-assign, or your own assigner, before chunkah-pack")

// Run reads a stream of tagged files and writes a stream of layers.
func Run(ctx context.Context, in format.Source, out format.Sink, opt Options) (*Report, error) {
	if opt.Max == 0 {
		opt.Max = defaultMax
	}
	if opt.Max < MinMax || opt.Max > MaxMax {
		return nil, fmt.Errorf("packing into %d layers: must be %d to %d", opt.Max, MinMax, MaxMax)
	}
	t, err := readStream(ctx, in)
	if err != nil {
		return nil, err
	}
	// Planning does not check the context, because it works only in memory, but it can take a
	// while.
	report, err := interrupt.Call(ctx, func() (*Report, error) { return t.prepare(&opt) })
	if err != nil {
		return nil, err
	}
	if opt.Open != nil {
		err := t.readContents(ctx, &opt)
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

// contentsOfLayers describes what the layers contain.
type contentsOfLayers struct {
	kept   []ImageLayer
	above  *tree // contains the files of the layers above
	layers []group.Layer
	// entries requests the digests of the layers' entries.
	entries bool
	// rewritten are layers of the previous image that are not kept although some of their files are
	// still used, and reasons are the reasons for each.
	rewritten, reasons []string
}

// prepare completes everything in the tree that does not depend on contents.
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
	report.KeptTimes = t.date(opt.PreviousLayout)
	if t.digests != nil && opt.dated() {
		report.Closed = t.digests.closed
	}
	t.fingerprint()
	t.learn(opt.PreviousLayout)
	if err := t.effort.err(); err != nil {
		return nil, err
	}
	// The newest update is used as the current time. The source date and users' times specify how
	// old files should look, not when packages were made.
	groupOpt := group.Options{Max: opt.Max, Previous: opt.PreviousLayout}
	out, err := t.chooseLayers(&groupOpt, &opt, report)
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

// describe returns the plan's description of a layer.
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
	states := make([]state, len(rec.Components))
	for i, name := range rec.Components {
		states[i] = t.state(name)
	}
	setStates(rec, states)
	return rec
}

// readStream reads a stream and checks that its records are consistent.
func readStream(ctx context.Context, in format.Source) (*tree, error) {
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
	l := newLayers(plan)
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

// addRecord stores a component record.
func (t *tree) addRecord(rec *format.Component) error {
	if _, twice := t.records[rec.Name]; twice {
		return fmt.Errorf("the stream contains two records of component %q", rec.Name)
	}
	t.records[rec.Name] = rec
	return nil
}

// sortedNames returns the keys of a map in sorted order.
func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
