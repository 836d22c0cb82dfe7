// Package source opens sources: a directory, an image from any transport, or several of them merged
// into one tree. A later stage opens the same tree from the stream's header.
package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/patch"
	"chunkah/lib/rootfs"
	"chunkah/lib/transport"
)

// maxSources limits the number of sources per tree. Each source stays open, an image keeps its file
// list in memory, and every path is looked up in each source.
const maxSources = 64

// Options specify how to open sources. The zero value accepts local sources for this machine's
// platform.
type Options struct {
	Image image.Options
	// KeepBase specifies which layers to keep unchanged if the only source is an image: their
	// number, or a base image that consists of these layers. If it is empty, no layers are kept.
	KeepBase string
	// BySource makes each source its own component.
	BySource bool
	// Removed requests Set.Removed and Set.Stale.
	Removed bool
	// Sums keeps the checksums of an image's files instead of their contents: see
	// image.FlattenOptions.
	Sums bool
	// Store receives the files of the only source, an image or a root tar: see
	// image.FlattenOptions.
	Store image.Store
}

// Set is a tree merged from sources.
type Set struct {
	// Root is the tree with all contents.
	Root *rootfs.Root
	// Changed shows the difference from the kept layers, with a character device 0, 0 for each
	// deleted file. If no layers are kept, Changed is Root. Closing Root closes it too.
	Changed *rootfs.Root
	// Config is the config of the topmost image; nil if no source is an image.
	Config *oci.Config
	// Tree is the tree of the topmost image or root tar; nil if all sources are directories.
	Tree *image.Tree
	// BaseLayers are the layers that --keep-base keeps, from the bottom up.
	BaseLayers []image.Layer
	// Image reads the blobs of the kept layers; nil if no source is an image.
	Image *image.Image
	// Removed lists files that are in the image's layers but are no longer visible, if requested.
	Removed []patch.Removed
	// Stale lists the image's layers with files that upper layers hide, if requested.
	Stale []patch.StaleLayer
	// Notes list ambiguities that runtimes handle in different ways.
	Notes []string

	names    []string // as in the stream's header
	trees    []*rootfs.Root
	pasts    []past   // per tree
	overlay  *overlay // all trees, merged
	images   []*image.Image
	labels   []string // as the user gave them
	bySource bool
	virtual  bool // at least one source is not a directory
}

// Open opens sources. Later sources are applied on top.
func Open(ctx context.Context, names []string, opt Options) (_ *Set, err error) {
	s := &Set{labels: names, bySource: opt.BySource}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	switch {
	case len(names) == 0:
		return s, errors.New("no source is given")
	case len(names) > maxSources:
		return s, fmt.Errorf("%d sources exceed the limit of %d: merge some of them first", len(names), maxSources)
	case len(names) > 1 && opt.KeepBase != "":
		return s, errors.New("layers can be kept only if there is a single source: merge the sources first")
	}
	for _, name := range names {
		if err := s.open(ctx, name, opt); err != nil {
			return s, err
		}
	}
	s.overlay = newOverlay(s.trees)
	if s.Root = s.trees[0]; len(s.trees) > 1 {
		s.Root = rootfs.Virtual(strings.Join(names, ", "), s.overlay)
	}
	if s.Changed == nil {
		s.Changed = s.Root
	}
	return s, nil
}

// OpenHeader opens the sources listed in a stream's header.
func OpenHeader(ctx context.Context, h *format.Header, opt Options) (*Set, error) {
	if h.KeepLayers > 0 {
		opt.KeepBase = fmt.Sprint(h.KeepLayers)
	}
	opt.Image.Again = true
	return Open(ctx, h.Sources, opt)
}

// Close closes all sources. Afterwards nothing can be read.
func (s *Set) Close() error {
	var errs []error
	for _, t := range s.trees {
		errs = append(errs, t.Close())
	}
	for _, img := range s.images {
		errs = append(errs, img.Close())
	}
	s.trees, s.images = nil, nil
	return errors.Join(errs...)
}

// open opens one source.
func (s *Set) open(ctx context.Context, name string, opt Options) error {
	src, err := transport.ParseSource(name)
	if err != nil {
		return err
	}
	switch {
	case src.IsImage():
		return s.openImage(ctx, src, opt)
	case opt.KeepBase != "":
		return fmt.Errorf("source %q is not an image, so it has no layers to keep", name)
	case src.IsDirectory():
		return s.openDir(src.Path)
	}
	return s.openTar(ctx, src, opt)
}

func (s *Set) openTar(ctx context.Context, src image.Location, opt Options) error {
	tree, err := image.FlattenTar(ctx, src, opt.Image, image.FlattenOptions{Spool: opt.Image.Spool, MaxBytes: opt.Image.MaxBytes, Sums: opt.Sums, Store: opt.Store, Work: opt.Image.Work})
	if err != nil {
		return err
	}
	s.Tree, s.virtual = tree, true
	s.Notes = append(s.Notes, tree.Notes...)
	s.trees, s.pasts = append(s.trees, rootfs.Virtual(src.String(), tree)), append(s.pasts, past{})
	s.names = append(s.names, src.Absolute().String())
	return nil
}

func (s *Set) openDir(path string) error {
	root, err := rootfs.Open(path)
	if err != nil {
		return err
	}
	s.trees, s.pasts = append(s.trees, root), append(s.pasts, past{})
	s.names = append(s.names, image.Location{Transport: transport.Directory, Path: root.Path()}.String())
	return nil
}

func (s *Set) openImage(ctx context.Context, src image.Location, opt Options) error {
	img, err := image.Open(ctx, src, opt.Image)
	if err != nil {
		return err
	}
	s.images = append(s.images, img)
	keep, err := keptLayers(ctx, img, opt)
	if err != nil {
		return err
	}
	flatten := image.FlattenOptions{Spool: opt.Image.Spool, Keep: keep, Sums: opt.Sums, Store: opt.Store, Work: opt.Image.Work}
	layers := make([]patch.Layer, len(img.Layers))
	if opt.Removed {
		flatten.Records = func(layer int, l image.LayerEntries) { layers[layer] = patch.Layer(l) }
	}
	tree, err := image.Flatten(ctx, img, flatten)
	if err != nil {
		return err
	}
	shadows := patch.Shadows(layers)
	for _, shadow := range shadows {
		s.Removed = append(s.Removed, shadow.Removed...)
	}
	s.Stale = append(s.Stale, patch.StaleLayers(shadows)...)
	s.Tree, s.virtual = tree, true
	s.Notes = append(s.Notes, tree.Notes...)
	s.trees = append(s.trees, rootfs.Virtual(src.String(), tree))
	s.pasts = append(s.pasts, newPast(img, tree))
	s.names = append(s.names, img.Pinned())
	if s.Config, err = config(img); err != nil {
		return fmt.Errorf("reading the config of %q: %w", src, err)
	}
	s.Image = img
	if keep > 0 {
		s.BaseLayers = img.Layers[:keep]
		differs, err := newChanged(tree, keep)
		if err != nil {
			return err
		}
		s.Changed = rootfs.Virtual(src.String(), differs)
	}
	return nil
}

// config returns an image's config together with its annotations.
func config(img *image.Image) (*oci.Config, error) {
	c, err := oci.ParseConfig(img.Config.Data)
	if err != nil {
		return nil, err
	}
	c.Annotations = img.Annotations
	return c, nil
}

// Header adds the sources to a header, so that a later stage can open them. A single directory is
// the stream's root.
func (s *Set) Header(h *format.Header) error {
	if len(s.trees) == 1 && !s.virtual {
		return nil // scan writes the root's path
	}
	for _, name := range s.names {
		if !utf8.ValidString(name) {
			return fmt.Errorf("source %q is not UTF-8, which the stream requires: rename it, or link to it", name)
		}
	}
	h.Sources, h.KeepLayers = s.names, int64(len(s.BaseLayers))
	return nil
}

// Components returns one component for each source that contains a file; nil without BySource.
func (s *Set) Components(f *format.File) ([]string, error) {
	if !s.bySource {
		return nil, nil
	}
	if len(s.trees) == 1 {
		return []string{"source/" + s.labels[0]}, nil
	}
	var list []string
	for at, tree := range slices.Backward(s.overlay.trees) {
		st, gone, err := tree.lstat(f.Path)
		switch {
		case err != nil:
			return nil, err
		case gone != nil && gone.hides:
			return list, nil
		case gone != nil:
			continue
		}
		list = append(list, "source/"+s.labels[at])
		if !isDir(st) {
			return list, nil
		}
	}
	return list, nil
}
