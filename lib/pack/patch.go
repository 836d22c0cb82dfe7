package pack

import (
	"context"
	"io/fs"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/group"
	"chunkah/lib/patch"
)

// Image is the previous image. Its layers can be kept.
type Image struct {
	// Name is the image's name in the header, including its digest.
	Name   string
	Layers []ImageLayer
}

// ImageLayer is one layer of the previous image.
type ImageLayer struct {
	patch.Layer
	DiffID string
	// Record is the layer record from the image's history; nil if the history does not contain it.
	Record *format.Layer
	// Entries is the digest of the layer's entries, if the record does not contain it.
	Entries string
	// Open opens the layer's tar. It is nil if reading the tar takes longer than reading the root's
	// files, or if it is not proven that the layer has the entries in Files.
	Open func(context.Context) (Tar, error)
	// Verified describes the file of the tar if this run has read the file and its digest is the
	// diffID.
	Verified fs.FileInfo

	bytes int64
}

// Patch describes how the previous image's layers are used.
type Patch struct {
	*patch.Plan
	// MaxStale is Options.MaxStale.
	MaxStale int64
	// Layers are the layers of the previous image.
	Layers []ImageLayer
	// New is the number of layers above the kept layers. NewBytes is the size of their files.
	New      int
	NewBytes int64
}

// PatchWhy explains how the previous image's layers are used. Bytes are tar sizes without
// directories.
type PatchWhy struct {
	MaxStalePPM int64 `json:"max_stale_ppm"`
	// Bytes is the size of the root. Stale is the size of files in kept layers that the image does
	// not show. New is the size of the files in new layers.
	Bytes  int64           `json:"bytes"`
	Stale  int64           `json:"stale_bytes"`
	New    int64           `json:"new_bytes"`
	Layers []PatchLayerWhy `json:"previous_layers"`
}

// PatchLayerWhy explains what happens to a layer of the previous image.
type PatchLayerWhy struct {
	Bytes      int64        `json:"bytes"`
	Stale      int64        `json:"stale_bytes"`
	Reason     patch.Reason `json:"reason"`
	Fault      string       `json:"fault,omitempty"`
	Components []string     `json:"components"`
}

func (p *Patch) explain() *PatchWhy {
	if p == nil {
		return nil
	}
	w := &PatchWhy{MaxStalePPM: p.MaxStale, Bytes: p.Bytes, Stale: p.Stale, New: p.NewBytes}
	for i, f := range p.Fates {
		l := PatchLayerWhy{Bytes: f.Bytes, Stale: f.Stale, Reason: f.Reason, Fault: f.Fault, Components: []string{}}
		if rec := p.Layers[i].Record; rec != nil {
			l.Components = append(l.Components, rec.Components...)
		}
		w.Layers = append(w.Layers, l)
	}
	return w
}

// record returns the stream's record for a kept layer.
func (l *ImageLayer) record(index int64) *format.Layer {
	rec := &format.Layer{}
	if l.Record != nil {
		*rec = *l.Record
	}
	rec.Index, rec.DiffID = index, l.DiffID
	if rec.Entries == "" {
		rec.Entries = l.Entries
	}
	return rec
}

// write writes a kept layer.
func (l *ImageLayer) write(ctx context.Context, out format.Sink, index int64) error {
	if err := out.Write(l.record(index)); err != nil {
		return err
	}
	for f := range l.Files.Copies() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := out.Write(f); err != nil {
			return err
		}
	}
	return nil
}

// chooseLayers plans the layers. With --max-stale and a usable previous image, it first decides
// which of that image's layers are kept, and plans layers only for the files that these do not
// provide.
func (t *tree) chooseLayers(opt *group.Options, all *Options, report *Report) (*contentsOfLayers, error) {
	whole := func() (_ *contentsOfLayers, err error) {
		out := &contentsOfLayers{above: t, entries: all.MaxStale > 0}
		out.layers, err = t.group(*opt, all.MaxLayerSize)
		return out, err
	}
	if all.MaxStale > 0 {
		t.setDigests()
	}
	if all.MaxStale == 0 || all.PreviousImage == nil {
		return whole()
	}
	layers := make([]patch.Layer, len(all.PreviousImage.Layers))
	for i, l := range all.PreviousImage.Layers {
		layers[i] = l.Layer
	}
	p := patch.Make(t.files, layers, patch.Options{
		Max: opt.Max, MaxStale: all.MaxStale, MaxLayerSize: all.MaxLayerSize, TimeFits: t.timeFits,
	})
	report.Patch = &Patch{Plan: p, MaxStale: all.MaxStale, Layers: all.PreviousImage.Layers}
	if len(p.Kept) == 0 {
		return whole()
	}
	out := &contentsOfLayers{entries: true}
	var err error
	if out.above, err = t.reduce(p); err != nil {
		return nil, err
	}
	above := group.Options{Max: opt.Max - len(p.Kept), Now: t.now()}
	if len(out.above.components) > 0 {
		if out.layers, err = out.above.group(above, all.MaxLayerSize); err != nil {
			report.Patch = nil // with a size limit, the kept layers do not leave enough room for new layers
			return whole()
		}
	}
	*opt = above
	for _, i := range p.Kept {
		l := all.PreviousImage.Layers[i]
		l.bytes = p.Fates[i].Bytes
		out.kept = append(out.kept, l)
	}
	out.setRewritten(p, all.PreviousImage.Layers)
	t.refresh(out)
	report.Patch.New = len(out.layers)
	for _, c := range out.above.components {
		report.Patch.NewBytes += c.size
	}
	t.header.Previous = all.PreviousImage.Name
	return out, nil
}

// setRewritten lists the layers that are not kept although the image shows some of their files.
func (c *contentsOfLayers) setRewritten(p *patch.Plan, layers []ImageLayer) {
	for i, f := range p.Fates {
		if f.Reason != patch.Kept && f.Stale < f.Bytes {
			c.rewritten, c.reasons = append(c.rewritten, layers[i].DiffID), append(c.reasons, string(f.Reason))
		}
	}
}

// now returns the newest known update. It considers all components, because the most recently
// updated one may not be among those written.
func (t *tree) now() (now int64) {
	for _, c := range t.components {
		for _, at := range c.record.Updates {
			now = max(now, at)
		}
	}
	return now
}

// setDigests sets the digests of empty files and of hard links.
func (t *tree) setDigests() {
	groups := make(map[int64]format.Digest)
	for _, f := range t.files {
		if f.Type != format.TypeFile {
			continue
		}
		if f.Size == 0 {
			f.Digest = format.EmptyDigest
			continue
		}
		if known := groups[f.Hardlink]; known.Known() && f.Hardlink != 0 {
			f.Digest = known
			continue
		}
		if f.Hardlink != 0 {
			groups[f.Hardlink] = f.Digest
		}
	}
}

// timeFits reports whether an unchanged file can keep its time from the previous image. A Python
// source may need its new time, because compiled Python contains the time of its source.
func (t *tree) timeFits(now, was *format.File) bool {
	if !strings.HasSuffix(now.Path, ".py") || uint32(now.MTime) == uint32(was.MTime) {
		return true
	}
	return t.digests != nil && !t.digests.timed[pySource{now.Path, uint32(now.MTime)}]
}

// reduce returns a tree of everything that the patch plan writes: files, whiteouts and their parent
// directories.
func (t *tree) reduce(p *patch.Plan) (*tree, error) {
	r := newTree()
	r.header = t.header
	for _, c := range t.components {
		r.records[c.record.Name] = c.record
	}
	// parent takes precedence over written, because a parent entry contains the attributes too.
	const parent, written = 1, 2
	need := make([]byte, len(t.files))
	free := make(map[string]bool) // components that have files to write
	needParents := func(at int) {
		for ; at >= 0 && need[at] != parent; at = t.parents[at] {
			need[at] = parent
		}
	}
	for _, i := range p.Write {
		if f := t.files[i]; f.Type != format.TypeDir {
			free[f.Components[0]] = true
		}
		if needParents(t.parents[i]); need[i] == 0 {
			need[i] = written
		}
	}
	for _, path := range p.Gone {
		needParents(t.find(format.Parent(path)))
	}
	gone := p.Gone
	whiteouts := func(before string) {
		for len(gone) > 0 && (before == "" || format.ComparePaths(gone[0], before) < 0) {
			r.files = append(r.files, &format.File{Path: gone[0], Type: format.TypeWhiteout, Components: []string{format.Deletions}})
			gone = gone[1:]
		}
	}
	for i, f := range t.files {
		if need[i] == 0 {
			continue
		}
		whiteouts(f.Path)
		if f.Type == format.TypeDir {
			f = reducedDir(f, need[i] == written, free)
		} else {
			// Scan allocates all records of a directory together. With a copy, the memory of the
			// directory's other records is free while the layers are written.
			file := *f
			f = &file
		}
		r.files = append(r.files, f)
	}
	whiteouts("")
	return r, r.complete(t)
}

// reducedDir returns the copy of a directory for a reduced tree. A directory keeps its components
// only if its own attributes must be written and nothing below it is written. Only then does it
// need a layer of its own. If it kept its components in other cases, two layers would contain the
// directory, and the next image would drop the upper layer.
func reducedDir(f *format.File, written bool, free map[string]bool) *format.File {
	dir := *f
	dir.Components = nil
	if !written {
		return &dir
	}
	for _, name := range f.Components {
		if free[name] {
			dir.Components = append(dir.Components, name)
		}
	}
	if dir.Components == nil && len(f.Components) > 0 {
		dir.Components = f.Components[:1:1]
	}
	return &dir
}

// find returns the index of a path.
func (t *tree) find(path string) int {
	i, found := slices.BinarySearchFunc(t.files, path, func(f *format.File, path string) int { return format.ComparePaths(f.Path, path) })
	if !found {
		return -1
	}
	return i
}

// complete fills in a reduced tree. It copies the components' data and times from the whole tree.
func (t *tree) complete(whole *tree) error {
	if len(t.files) == 0 {
		return nil
	}
	if err := t.assemble(); err != nil {
		return err
	}
	newest := int64(0)
	for _, c := range whole.components {
		newest = max(newest, c.clamp)
	}
	for _, c := range t.components {
		c.clamp, c.bounded = newest, true
		if of := whole.byName[c.record.Name]; of != nil {
			c.clamp, c.bounded, c.contents, c.learned = of.clamp, of.bounded, of.contents, of.learned
		}
	}
	t.measure()
	return nil
}
