package verify

import (
	"archive/tar"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/patch"
	"chunkah/lib/plan"
)

// image verifies an image: its config, and all layers in one pass.
func (v *verifier) image(ctx context.Context, where string, d v1.Descriptor, m *v1.Manifest) error {
	before := len(v.report.Faults)
	v.report.Images++
	store := &tables{Fetcher: v.fetch, spool: v.opt.Image.Spool, faults: map[digest.Digest]error{}}
	img := image.Assemble(v.src, store, nil)
	img.Annotations = m.Annotations
	img.Manifest.Descriptor, img.Config.Descriptor = d, m.Config
	c := v.config(ctx, where, d, m, img)
	switch fits, err := image.Fits(v.opt.Image.Platform, img.Platform); {
	case err != nil:
		return err
	case !fits && c != nil:
		v.report.Images--
		return nil
	case c != nil && c.OS != "" && c.OS != "linux":
		v.verifyClosed(ctx, where, fmt.Sprintf("is for %q", c.OS), m)
		return nil
	case slices.ContainsFunc(m.Layers, isClosed):
		v.verifyClosed(ctx, where, "has encrypted layers, or layers stored elsewhere", m)
		return nil
	}
	names := v.layers(where, m, c, img)
	w := newWatcher(img.Layers)
	lists := make([]patch.Layer, len(img.Layers))
	tree, err := image.Flatten(ctx, img, image.FlattenOptions{
		Watch: w, Sums: true, MaxBytes: v.opt.Image.MaxBytes, Work: v.opt.Image.Work,
		Records: func(layer int, l image.LayerEntries) {
			w[layer].checkEntries(img.Layers[layer], l)
			if v.opt.Stale {
				lists[layer] = patch.Layer(l)
			}
		},
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.report(names, v.report)
	store.report(names, img.Layers, v.report)
	if err != nil {
		v.fault(where, "%s", err)
		return nil
	}
	defer tree.Close() // it only occupies memory
	if layers := patch.StaleLayers(patch.Shadows(lists)); len(layers) > 0 {
		v.report.Stale = append(v.report.Stale, StaleImage{where, layers})
	}
	for _, text := range tree.Notes {
		v.note(where, "%s", text)
	}
	if v.opt.Whole == nil || len(v.report.Faults) > before {
		return nil
	}
	return v.opt.Whole(ctx, img, tree)
}

// isClosed reports whether a layer's format is one that many clients cannot read.
func isClosed(d v1.Descriptor) bool {
	return image.IsForeign(d.MediaType) || strings.HasSuffix(d.MediaType, "+encrypted")
}

// verifyClosed verifies only digests and sizes of an image's layers. Layers with URLs are usually
// stored elsewhere and are skipped.
func (v *verifier) verifyClosed(ctx context.Context, where, why string, m *v1.Manifest) {
	v.note(where, "%s: only the digests of its layers are verified, not its files", why)
	for i, d := range m.Layers {
		v.report.Layers++
		if image.IsForeign(d.MediaType) && len(d.URLs) > 0 {
			continue
		}
		v.checkBlob(ctx, fmt.Sprintf("layer %d (%s) of %s", i, d.Digest, where), d)
	}
}

// config verifies an image's config. It returns nil if the config cannot be read.
func (v *verifier) config(ctx context.Context, where string, d v1.Descriptor, m *v1.Manifest, img *image.Image) *config {
	if oci.CheckDescriptor(m.Config) != nil {
		return nil // already reported
	}
	where = fmt.Sprintf("config %s of %s", m.Config.Digest, where)
	if err := image.CheckConfigType(m.Config.MediaType); err != nil {
		v.fault(where, "%s", err)
	}
	if t := m.Config.MediaType; t != "" && image.IsLooseType(t) {
		v.note(where, "has the media type %q, which old Docker clients wrote; clients accept it", t)
	}
	data := v.read(ctx, where, m.Config)
	if data == nil {
		return nil
	}
	img.Config = oci.Document{Descriptor: m.Config, Data: data}
	c, faults, notes := parseConfig(data, len(m.Layers))
	v.faults(where, faults)
	for _, err := range notes {
		v.note(where, "%s", err)
	}
	if c == nil {
		return nil
	}
	img.Platform = c.Platform
	if p := d.Platform; p != nil {
		for _, pair := range [][3]string{
			{"os", p.OS, c.OS}, {"architecture", p.Architecture, c.Architecture}, {"variant", p.Variant, c.Variant},
		} {
			if pair[1] == "" || pair[2] == "" || pair[1] == pair[2] {
				continue
			}
			// Clients choose a platform from the index, and often only the index sets the variant.
			say := v.fault
			if pair[0] == "variant" {
				say = v.note
			}
			say(where, "%s is %q, but the index specifies %q", pair[0], pair[2], pair[1])
		}
	}
	return c
}

// layers adds the readable layers to img and returns their names for messages.
func (v *verifier) layers(where string, m *v1.Manifest, c *config, img *image.Image) (names []string) {
	var made []history
	if c != nil {
		if made = c.ofLayers(); len(made) != len(m.Layers) {
			made = nil // entries cannot be matched with layers
		}
	}
	for i, d := range m.Layers {
		if oci.CheckDescriptor(d) != nil {
			continue // already reported
		}
		name := fmt.Sprintf("layer %d (%s) of %s", i, d.Digest, where)
		if err := image.CheckLayerType(d.MediaType); err != nil {
			v.fault(name, "%s", err)
			continue
		}
		l := image.Layer{Descriptor: d}
		if c != nil && i < len(c.RootFS.DiffIDs) {
			l.DiffID = digest.Digest(c.RootFS.DiffIDs[i])
			if err := l.DiffID.Validate(); err != nil {
				v.fault(name, "diffID %q: %s", l.DiffID, err)
				l.DiffID = ""
			}
		}
		if made != nil {
			l.History = v1.History{CreatedBy: made[i].CreatedBy, Author: made[i].Author, Comment: made[i].Comment}
		}
		img.Layers = append(img.Layers, l)
		names = append(names, name)
		v.report.Layers++
		v.report.Bytes += d.Size
	}
	return names
}

// watcher checks the entries of all layers in an image. All calls for one layer come from one
// goroutine at a time.
type watcher []*layerWatch

// layerWatch contains the results for one layer.
type layerWatch struct {
	own   bool // chunkah made it
	names map[entryName]bool
	last  string // the path of the last entry, "" at the start
	// In layers made by other tools, orphans is the number of entries that come before their parent
	// directory or have none in the layer. firstOrphan is the first of these entries.
	orphans     int
	firstOrphan string
	// duplicates is the number of duplicate names in layers made by other tools.
	duplicates     int
	firstDuplicate string

	faults []Fault
	notes  []string
}

// entryName identifies an entry by name.
type entryName struct {
	path     string
	whiteout bool
}

func newWatcher(layers []image.Layer) watcher {
	w := make(watcher, len(layers))
	for i, l := range layers {
		w[i] = &layerWatch{own: l.History.CreatedBy == plan.Author, names: map[entryName]bool{}}
	}
	return w
}

// Fault implements image.Watcher.
func (w watcher) Fault(layer int, name string, err error) {
	l := w[layer]
	l.faults = append(l.faults, Fault{Path: name, What: err.Error()})
}

// Note implements image.Watcher.
func (w watcher) Note(layer int, what string) { w[layer].notes = append(w[layer].notes, what) }

// Entry implements image.Watcher. Global headers are skipped.
func (w watcher) Entry(layer int, h *tar.Header) {
	path, whiteout, err := image.EntryPath(h.Name)
	if err != nil || h.Typeflag == tar.TypeXGlobalHeader {
		return // image.Flatten reports the error
	}
	w[layer].entry(h.Name, entryName{path, whiteout})
}

func (l *layerWatch) entry(name string, e entryName) {
	if l.names[e] && !l.own {
		if l.duplicates++; l.duplicates == 1 {
			l.firstDuplicate = name
		}
		return
	}
	if l.names[e] {
		l.faults = append(l.faults, Fault{Path: name, What: "duplicate entry"})
		return
	}
	l.names[e] = true
	parent := format.Parent(e.path)
	orphan := e.path != "/" && parent != "/" && !l.names[entryName{path: parent}]
	switch {
	case l.own && orphan:
		l.faults = append(l.faults, Fault{Path: name, What: "its directory has no earlier entry"})
	case orphan:
		if l.orphans == 0 {
			l.firstOrphan = name
		}
		l.orphans++
	}
	if l.own && l.last != "" && format.ComparePaths(l.last, e.path) > 0 {
		l.faults = append(l.faults, Fault{Path: name, What: fmt.Sprintf("entry comes after %q", l.last)})
	}
	l.last = e.path
}

// checkEntries compares a layer's entries with the entry digest in its history, because builds with
// --max-stale rely on that digest.
func (l *layerWatch) checkEntries(made image.Layer, found image.LayerEntries) {
	rec, _ := plan.FromHistory(made.History)
	if rec == nil || rec.Entries == "" || len(l.faults) > 0 {
		return // another fault already explains the difference
	}
	got, err := plan.EntriesOf(found.Files.All())
	if err == nil && found.Fault == "" && got == rec.Entries {
		return
	}
	l.faults = append(l.faults, Fault{What: fmt.Sprintf("the digest of the layer's entries differs from the digest in the history, %q", rec.Entries)})
}

// report adds the results to the report, layer by layer.
func (w watcher) report(names []string, report *Report) {
	for i, l := range w {
		for _, f := range l.faults {
			f.Where = names[i]
			report.Faults = append(report.Faults, f)
		}
		note := func(path, format string, args ...any) {
			report.Notes = append(report.Notes, Fault{Where: names[i], Path: path, What: fmt.Sprintf(format, args...)})
		}
		for _, what := range l.notes {
			note("", "%s", what)
		}
		if l.orphans > 0 {
			note(l.firstOrphan, "its directory has no earlier entry (the same for %d other entries): overlay storage creates such directories with mode 0755 and owner 0", l.orphans-1)
		}
		if l.duplicates > 0 {
			note(l.firstDuplicate, "duplicate entry (and %d more): the last entry is used", l.duplicates-1)
		}
	}
}
