package inspect

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/image"
	"chunkah/lib/metrics"
	"chunkah/lib/patch"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
)

// Options configure what Read does in addition to reading entries.
type Options struct {
	// Repos find each file's component if a layer's history lists several components or none. They
	// are optional.
	Repos []assign.Repo
	// Tree keeps the merged file system for Walk.
	Tree bool
	// Work counts the bytes that are read from blobs. It can be nil.
	Work *metrics.Work
}

// Read reads the layers.
func (in *Image) Read(ctx context.Context, opt Options) error {
	ask := opt.Repos != nil && !in.isExact()
	faults := make([]error, len(in.Layers)) // one per layer, since layers are read concurrently
	shadows := make([]patch.Layer, len(in.Layers))
	tree, err := image.Flatten(ctx, in.image, image.FlattenOptions{
		Records: func(layer int, l image.LayerEntries) { shadows[layer] = patch.Layer(l) },
		Spool:   in.opt.Spool, MaxBytes: in.opt.MaxBytes, Work: opt.Work, Sums: !ask, // the repos read databases
		See: func(layer int, h *tar.Header, sum [sha256.Size]byte) {
			e, err := newEntry(h, sum)
			if err != nil && faults[layer] == nil {
				faults[layer] = fmt.Errorf("reading layer %d of %q: entry %q: %w", layer, in.Source, h.Name, err)
			}
			l := &in.Layers[layer]
			l.Entries = append(l.Entries, e)
		},
	})
	if err != nil {
		return err
	}
	in.read, in.Notes = true, tree.Notes
	for i, s := range patch.Shadows(shadows) {
		in.Layers[i].Stale, in.Layers[i].HiddenBy = s.Stale, s.HiddenBy
	}
	for i := range in.Layers {
		err = errors.Join(err, faults[i])
		in.Layers[i].Bytes = tree.Unpacked(i)
	}
	var claimed map[string][]string
	if ask && err == nil {
		if claimed, err = in.claim(ctx, tree, opt.Repos); err != nil {
			err = fmt.Errorf("finding the components of %q: %w", in.Source, err)
		}
	}
	if err == nil {
		in.assignComponents(claimed)
	}
	if opt.Tree && err == nil {
		in.tree = tree
		return nil
	}
	return errors.Join(err, tree.Close())
}

// IsRead reports whether the layers were read.
func (in *Image) IsRead() bool { return in.read }

// isExact reports whether each file's component is known from the histories, which is true if each
// layer contains exactly one component.
func (in *Image) isExact() bool {
	for _, l := range in.Layers {
		if len(l.Components) != 1 {
			return false
		}
	}
	return true
}

// claim runs the repos on all files of the image and returns each path's components.
func (in *Image) claim(ctx context.Context, tree *image.Tree, repos []assign.Repo) (map[string][]string, error) {
	root := rootfs.Virtual(in.Source, tree) // closed with the tree
	var files []*format.File
	var report scan.Report
	for f, err := range scan.Walk(ctx, root, scan.Options{Special: scan.SpecialKeep}, &report) {
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	out, err := assign.Assign(ctx, assign.NewTree(root, files), repos)
	if err != nil {
		return nil, err
	}
	in.Warnings = out.Warnings
	claimed := make(map[string][]string, len(files))
	for _, f := range files {
		if f.Type != format.TypeDir {
			claimed[f.Path] = f.Components
		}
	}
	return claimed, nil
}

// assignComponents sets the component of each entry.
func (in *Image) assignComponents(claimed map[string][]string) {
	numbers := map[string]int32{}
	number := func(name string) int32 {
		if name == "" {
			return NoComponent
		}
		n, known := numbers[name]
		if !known {
			n = int32(len(in.Components)) // at most one per file
			numbers[name] = n
			in.Components = append(in.Components, name)
		}
		return n
	}
	for i := range in.Layers {
		l := &in.Layers[i]
		held := newRecordedNames(l.Components)
		for j := range l.Entries {
			e := &l.Entries[j]
			e.Component = number(held.component(claimed[e.Path]))
		}
	}
}

// recordedNames is a layer's content according to its history.
type recordedNames struct {
	only  string            // name of the only component
	known map[string]string // by the name that repos use; nil if the history contains no components
}

func newRecordedNames(names []string) recordedNames {
	h := recordedNames{}
	if len(names) == 1 {
		h.only = names[0]
	}
	for _, name := range names {
		if h.known == nil {
			h.known = make(map[string]string, len(names))
		}
		h.known[name] = name
		// A part of a component is named after the component, with a suffix (format/SPEC.md,
		// section 8). If a layer contains several parts, files are assigned to the component.
		if whole, _, cut := strings.Cut(name, "#"); cut {
			if _, several := h.known[whole]; several {
				name = whole
			}
			h.known[whole] = name
		}
	}
	return h
}

// component returns the component of a file that repos claimed, or "" if the component is not in
// this layer.
func (h recordedNames) component(claimed []string) string {
	switch {
	case h.only != "":
		return h.only
	case len(claimed) == 0:
		return ""
	case h.known == nil:
		return claimed[0]
	}
	return h.known[claimed[0]]
}
