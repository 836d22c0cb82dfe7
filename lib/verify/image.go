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
	"chunkah/lib/plan"
)

// image verifies an image: its config, and its layers in one reading.
func (v *verifier) image(where string, d v1.Descriptor, m *v1.Manifest) error {
	before := len(v.report.Faults)
	v.report.Images++
	img := image.Assemble(v.src, v.fetch, nil)
	img.Annotations = m.Annotations
	img.Manifest.Descriptor, img.Config.Descriptor = d, m.Config
	c := v.config(where, d, m, img)
	switch fits, err := image.Fits(v.opt.Image.Platform, img.Platform); {
	case err != nil:
		return err
	case !fits && c != nil:
		v.report.Images--
		return nil
	case c != nil && c.OS != "" && c.OS != "linux":
		v.closed(where, fmt.Sprintf("it is for %q", c.OS), m)
		return nil
	case slices.ContainsFunc(m.Layers, isClosed):
		v.closed(where, "it has layers that are encrypted, or that are fetched from elsewhere", m)
		return nil
	}
	names := v.layers(where, m, c, img)
	w := newWatcher(img.Layers)
	tree, err := image.Flatten(v.ctx, img, image.FlattenOptions{Watch: w, Sums: true, MaxBytes: v.opt.Image.MaxBytes})
	if v.ctx.Err() != nil {
		return context.Cause(v.ctx)
	}
	w.report(names, v.report)
	if err != nil {
		v.fault(where, "%s", err)
		return nil
	}
	defer tree.Close() // it holds nothing but memory
	for _, text := range tree.Notes {
		v.note(where, "%s", text)
	}
	if v.opt.Whole == nil || len(v.report.Faults) > before {
		return nil
	}
	return v.opt.Whole(v.ctx, img, tree)
}

// isClosed reports whether a layer is one that many clients cannot look into.
func isClosed(d v1.Descriptor) bool {
	return image.IsForeign(d.MediaType) || strings.HasSuffix(d.MediaType, "+encrypted")
}

// closed verifies digests and sizes of the layers of an image that is not looked into.
// Those that are fetched from elsewhere are mostly not there.
func (v *verifier) closed(where, why string, m *v1.Manifest) {
	v.note(where, "%s: the digests of its layers are verified, and its files are not looked into", why)
	for i, d := range m.Layers {
		v.report.Layers++
		if image.IsForeign(d.MediaType) && len(d.URLs) > 0 {
			continue
		}
		v.skim(fmt.Sprintf("layer %d (%s) of %s", i, d.Digest, where), d)
	}
}

// config verifies an image's config; nil where it cannot be read.
func (v *verifier) config(where string, d v1.Descriptor, m *v1.Manifest, img *image.Image) *config {
	if oci.CheckDescriptor(m.Config) != nil {
		return nil // its fault is told
	}
	where = fmt.Sprintf("config %s of %s", m.Config.Digest, where)
	if err := image.CheckConfigType(m.Config.MediaType); err != nil {
		v.fault(where, "%s", err)
	}
	if t := m.Config.MediaType; t != "" && image.IsLooseType(t) {
		v.note(where, "it has the media type %q, as old Docker clients gave it: clients take it for an image", t)
	}
	data := v.read(where, m.Config)
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
			// Clients choose by what the index says, and variants are often set there alone.
			say := v.fault
			if pair[0] == "variant" {
				say = v.note
			}
			say(where, "its %s is %q, and the index says %q", pair[0], pair[2], pair[1])
		}
	}
	return c
}

// layers gives the image those of its layers that can be read, and returns what they
// are called.
func (v *verifier) layers(where string, m *v1.Manifest, c *config, img *image.Image) (names []string) {
	var made []history
	if c != nil {
		if made = c.ofLayers(); len(made) != len(m.Layers) {
			made = nil // nobody knows which is whose
		}
	}
	for i, d := range m.Layers {
		if oci.CheckDescriptor(d) != nil {
			continue // its fault is told
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
			l.History.CreatedBy = made[i].CreatedBy
		}
		img.Layers = append(img.Layers, l)
		names = append(names, name)
		v.report.Layers++
		v.report.Bytes += d.Size
	}
	return names
}

// watcher looks at the entries of all layers of one image. What is about one layer
// comes from one goroutine at a time.
type watcher []*layerWatch

// layerWatch is what is found in one layer.
type layerWatch struct {
	own   bool // chunkah made it
	names map[entryName]bool
	last  string // the path of the last entry, "" for none
	// out counts entries of a layer of others that come without their directory, or
	// before it; first is the first one.
	out   int
	first string
	// again counts entries of a layer of others whose name is there before; twice is the
	// first one.
	again int
	twice string

	faults []Fault
	notes  []string
}

// entryName is what an entry is about.
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

// Entry implements image.Watcher. A global header is no entry.
func (w watcher) Entry(layer int, h *tar.Header) {
	path, whiteout, err := image.EntryPath(h.Name)
	if err != nil || h.Typeflag == tar.TypeXGlobalHeader {
		return // who reads the entry says so
	}
	w[layer].entry(h.Name, entryName{path, whiteout})
}

func (l *layerWatch) entry(name string, e entryName) {
	if l.names[e] && !l.own {
		if l.again++; l.again == 1 {
			l.twice = name
		}
		return
	}
	if l.names[e] {
		l.faults = append(l.faults, Fault{Path: name, What: "it is there twice"})
		return
	}
	l.names[e] = true
	parent := format.Parent(e.path)
	orphan := e.path != "/" && parent != "/" && !l.names[entryName{path: parent}]
	switch {
	case l.own && orphan:
		l.faults = append(l.faults, Fault{Path: name, What: "no entry of its directory comes before it"})
	case orphan:
		if l.out == 0 {
			l.first = name
		}
		l.out++
	}
	if l.own && l.last != "" && format.ComparePaths(l.last, e.path) > 0 {
		l.faults = append(l.faults, Fault{Path: name, What: fmt.Sprintf("it comes after %q", l.last)})
	}
	l.last = e.path
}

// report passes on what was found, layer by layer.
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
		if l.out > 0 {
			note(l.first, "no entry of its directory comes before it, nor with %d other entries: overlay storage gives such a directory mode 0755 and owner 0", l.out-1)
		}
		if l.again > 0 {
			note(l.twice, "it is there twice, and so are %d other entries: the last one counts", l.again-1)
		}
	}
}
