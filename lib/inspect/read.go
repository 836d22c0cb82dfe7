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
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
)

// Options say what reading the layers is for.
type Options struct {
	// Repos find out which component a file belongs to where a layer's history names several, or
	// none. Without repos nobody asks.
	Repos []assign.Repo
	// Tree is for Walk: it keeps the file system that the layers make up.
	Tree bool
}

// Read reads the layers.
func (in *Image) Read(ctx context.Context, opt Options) error {
	ask := opt.Repos != nil && !in.told()
	faults := make([]error, len(in.Layers)) // one each, since layers are read at once
	tree, err := image.Flatten(ctx, in.image, image.FlattenOptions{
		Spool: in.opt.Spool, MaxBytes: in.opt.MaxBytes, Sums: !ask, // databases have to be read
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
	in.whole, in.Notes = true, tree.Notes
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
		in.share(claimed)
	}
	if opt.Tree && err == nil {
		in.tree = tree
		return nil
	}
	return errors.Join(err, tree.Close())
}

// IsRead tells whether the layers were read.
func (in *Image) IsRead() bool { return in.whole }

// told tells whether the histories say of each file which component it belongs to: there is one in
// a layer.
func (in *Image) told() bool {
	for _, l := range in.Layers {
		if len(l.Components) != 1 {
			return false
		}
	}
	return true
}

// claim asks the repos about all files of the image: the components of each path.
func (in *Image) claim(ctx context.Context, tree *image.Tree, repos []assign.Repo) (map[string][]string, error) {
	root := rootfs.Virtual(in.Source, tree) // whose Close is the tree's
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

// share gives each entry the component that it belongs to.
func (in *Image) share(claimed map[string][]string) {
	numbers := map[string]int32{}
	number := func(name string) int32 {
		if name == "" {
			return NoComponent
		}
		n, known := numbers[name]
		if !known {
			n = int32(len(in.Components)) // as many as files at most
			numbers[name] = n
			in.Components = append(in.Components, name)
		}
		return n
	}
	for i := range in.Layers {
		l := &in.Layers[i]
		held := newHolding(l.Components)
		for j := range l.Entries {
			e := &l.Entries[j]
			e.Component = number(held.component(claimed[e.Path]))
		}
	}
}

// holding is what a layer's history says that it holds.
type holding struct {
	only  string            // its only component
	known map[string]string // by what the repos call it; nil where nothing is said
}

func newHolding(names []string) holding {
	h := holding{}
	if len(names) == 1 {
		h.only = names[0]
	}
	for _, name := range names {
		if h.known == nil {
			h.known = make(map[string]string, len(names))
		}
		h.known[name] = name
		// A part is called after what it is a part of (format/SPEC.md, section 8). Of several in
		// one layer nobody knows which is whose, and they go by its name.
		if whole, _, cut := strings.Cut(name, "#"); cut {
			if _, several := h.known[whole]; several {
				name = whole
			}
			h.known[whole] = name
		}
	}
	return h
}

// component is what a file belongs to of what the repos say: empty where that is not in this layer.
func (h holding) component(claimed []string) string {
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
