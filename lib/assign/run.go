package assign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"chunkah/format"
	"chunkah/lib/console"
	"chunkah/lib/rootfs"
	"chunkah/lib/temp"
)

// Options are the options of the stage.
type Options struct {
	// Repos claim files in this order.
	Repos []Repo
	// Root is the root from which databases are read. If it is nil, the root in the stream's header
	// is used.
	Root *rootfs.Root
	// Open opens the sources in a header that contains no root, and returns them as one root with
	// its Closer.
	Open func(context.Context, *format.Header) (*rootfs.Root, io.Closer, error)
	// Override removes the components that are already in the stream.
	Override bool
	// Strict makes the first warning an error.
	Strict bool
	// Explain is the path to explain. The outcome then lists all claims on the path and marks the
	// claim that takes effect. If Explain is empty, no path is explained.
	Explain string
}

// Run reads a stream of file records and writes the stream with components added.
func Run(ctx context.Context, in format.Source, out format.Sink, opt Options) (*Outcome, error) {
	s, err := read(ctx, in, opt.Override)
	if err != nil {
		return nil, err
	}
	root := opt.Root
	if root == nil {
		var closer io.Closer
		if root, closer, err = s.openRoot(ctx, opt); err != nil {
			return nil, err
		}
		defer closer.Close() // read-only
	}
	tree := NewTree(root, s.files)
	tree.Partial = s.header.KeepLayers > 0
	asked, x := -1, (*Explanation)(nil)
	if opt.Explain != "" {
		i, found, err := tree.Find(opt.Explain)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fmt.Errorf("%q is not in the stream: use the absolute path in the image", opt.Explain)
		}
		asked, x = i, &Explanation{Path: s.files[i].Path, Before: s.files[i].Components}
	}
	outcome, err := assign(ctx, tree, opt.Repos, asked)
	if err != nil {
		return nil, err
	}
	if x != nil {
		x.Components = s.files[asked].Components
		outcome.Explained = x
	}
	if opt.Root == nil && s.header.Root == "" && len(s.header.Sources) == 0 {
		outcome.Warnings = append(outcome.Warnings, "no package database was read, because the stream has no root directory: set it with --rootfs")
	}
	if opt.Strict && len(outcome.Warnings) > 0 {
		return nil, strictError(outcome.Warnings)
	}
	return outcome, s.write(ctx, out, outcome)
}

// strictError combines the warnings into one error.
func strictError(warnings []string) error {
	if more := len(warnings) - 1; more > 0 {
		return fmt.Errorf("%s (and %s; --strict makes them errors)", warnings[0], console.Plural(more, "more warning"))
	}
	return fmt.Errorf("%s (--strict)", warnings[0])
}

// Explanation lists the components of a path. Outcome.Claimants explains how they were chosen.
type Explanation struct {
	Path string
	// Before are the path's components in the input.
	Before []string
	// Components are the path's new components. A directory that is only written along with its
	// files has no components.
	Components []string
}

// stream is a complete stream in memory.
type stream struct {
	header     format.Header
	components []*format.Component
	files      []*format.File
}

// openRoot opens the root in the stream's header. A script can write a stream without a root. In
// that case no databases are read, and openRoot returns an empty directory that it has already
// removed.
func (s *stream) openRoot(ctx context.Context, opt Options) (root *rootfs.Root, closer io.Closer, err error) {
	if len(s.header.Sources) > 0 {
		if opt.Open == nil {
			return nil, nil, errors.New("the stream lists sources, but only a root directory is supported here")
		}
		return opt.Open(ctx, &s.header)
	}
	if s.header.Root != "" {
		root, err = rootfs.Open(s.header.Root)
		return root, root, err
	}
	dir, err := temp.Mkdir(temp.Dir("/tmp", "/var/tmp"), 0o700)
	if err != nil {
		return nil, nil, fmt.Errorf("creating an empty root: %w", err)
	}
	root, err = rootfs.Open(dir.Name())
	return root, root, errors.Join(err, os.Remove(dir.Name()), dir.Close())
}

func read(ctx context.Context, in format.Source, override bool) (*stream, error) {
	s := &stream{}
	for rec, err := range format.All(in) {
		if err != nil {
			return nil, err
		}
		switch rec := rec.(type) {
		case *format.Header:
			s.header = *rec
			if rec.Stage == format.StagePack {
				return nil, errors.New("the stream is already packed: run chunkah-assign before chunkah-pack")
			}
		case *format.Component:
			if !override {
				s.components = append(s.components, rec)
			}
		case *format.File:
			if override {
				rec.Components = nil
			}
			s.files = append(s.files, rec)
		case *format.Layer:
			return nil, errors.New("the stream already contains layers: run chunkah-assign before chunkah-pack")
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// write writes the stream. A component from the input keeps its record.
func (s *stream) write(ctx context.Context, out format.Sink, outcome *Outcome) error {
	header := s.header
	header.Version, header.Stage = format.Version, format.StageAssign
	if err := out.Write(&header); err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, c := range append(s.components, outcome.Components...) {
		if known[c.Name] {
			continue
		}
		known[c.Name] = true
		if err := out.Write(c); err != nil {
			return err
		}
	}
	for _, f := range s.files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := out.Write(f); err != nil {
			return err
		}
	}
	return out.Finish()
}
