// Package doctor looks for what spoils an image before it is one: files that change
// with every build, that keep a system from booting or updating as it should, that
// are secrets, or that no image can hold.
//
// It reads a stream as assign writes it, so that it sees what an image would have,
// with the options of the build, and knows what bounds a file's time. Of few files,
// each told by its name, it reads up to a page. Each kind of finding has an ID that
// stays as it is, and says what to do. What is found is gathered by directory: memory
// grows with the number of those, not with what is in them.
package doctor

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/chain"
	"chunkah/lib/oci"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
)

// Harm is what a finding spoils.
type Harm string

// The harms.
const (
	HarmReuse  Harm = "reuse"  // a layer changes although nothing that is used has
	HarmBoot   Harm = "boot"   // of a bootable image: it does not start or update as it should
	HarmSecret Harm = "secret" // whoever has the image has what should be one machine's alone
	HarmBuild  Harm = "build"  // chunkah build refuses it
	HarmSize   Harm = "size"   // the image is far larger than its source
)

// Finding is what one check found.
type Finding struct {
	ID     ID
	Spoils Harm
	// What says what it is, in one sentence without an end.
	What string
	// Places are where it is, in order; empty if the finding is not about files.
	Places []Place
	// Files and Bytes are those of all places, hard links once.
	Files, Bytes int64
	// Advice is what to do.
	Advice string
	// Options are those of scan, build and doctor that do it; none where no option
	// does.
	Options []string
}

// Place is a file, or a directory with a slash at its end.
type Place struct {
	Path         string
	Files, Bytes int64 // that were found in it
}

// Options say what to look for. The zero value looks for everything.
type Options struct {
	// Root has the files' contents.
	Root *rootfs.Root
	// Dir is where the root is, for commands to name; empty for an image.
	Dir string
	// Config is that of the image that is looked at, DiffIDs are its layers; nil if it is
	// not an image.
	Config  *oci.Config
	DiffIDs []digest.Digest
	// Layers are those of the image that is looked at, from the bottom up; nil if it is
	// not an image, or if the stability of a layer is not known.
	Layers []chain.Layer
	// Ignore are checks that are left out.
	Ignore []ID
}

// Examiner gathers findings.
type Examiner struct {
	opt    Options
	index  map[string][]rule // by the name of a top-level directory
	always []*check          // those that look everywhere
	found  map[ID]*gathering
	// seen is what advice depends on.
	seen struct {
		kernelInUsr, kernelInBoot, wal bool
		extractor                      string // of the first archive with others inside
	}

	header  format.Header
	bounded map[string]int64 // components whose files have a newest time
}

// New makes an examiner.
func New(opt Options) *Examiner {
	e := &Examiner{
		opt: opt, index: make(map[string][]rule), found: make(map[ID]*gathering), bounded: make(map[string]int64),
	}
	for i := range checks {
		c := &checks[i]
		if e.ignores(c.id) {
			continue
		}
		if c.places == nil && c.finds != nil {
			e.always = append(e.always, c)
		}
		for _, pattern := range c.places {
			r := newRule(c, pattern)
			e.index[r.top] = append(e.index[r.top], r)
		}
	}
	return e
}

func (e *Examiner) ignores(id ID) bool { return slices.Contains(e.opt.Ignore, id) }

// Run examines a stream to its end. Components come before the files.
func (e *Examiner) Run(ctx context.Context, in format.Source) error {
	for {
		rec, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch rec := rec.(type) {
		case *format.Header:
			e.header = *rec
		case *format.Component:
			if rec.HasMtimeClamp {
				e.bounded[rec.Name] = rec.MtimeClamp
			}
		case *format.File:
			if err := e.file(rec); err != nil {
				return err
			}
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}

// file puts one file before the checks. What should not be there at all is nothing to
// be told twice.
func (e *Examiner) file(f *format.File) error {
	if f.Type == format.TypeDir || f.Type == format.TypeWhiteout {
		return nil
	}
	e.look(f)
	top, _, _ := strings.Cut(f.Path[1:], "/")
	for _, r := range e.index[top] {
		target, in := r.match(f.Path)
		if !in {
			continue
		}
		hit, err := r.check.hit(e, f)
		if err != nil {
			return fmt.Errorf("looking for %s: %w", r.check.id, err)
		}
		if !hit {
			continue
		}
		e.add(r.check, f, target)
		if r.check.out {
			return nil
		}
	}
	for _, c := range e.always {
		hit, err := c.hit(e, f)
		if err != nil {
			return fmt.Errorf("looking for %s: %w", c.id, err)
		}
		if hit {
			e.add(c, f, f.Path)
		}
	}
	return nil
}

// look keeps what advice depends on.
func (e *Examiner) look(f *format.File) {
	switch {
	case strings.HasPrefix(f.Path, "/usr/lib/modules/") && strings.HasSuffix(f.Path, "/vmlinuz"):
		e.seen.kernelInUsr = true
	case strings.HasPrefix(f.Path, "/boot/vmlinuz"):
		e.seen.kernelInBoot = true
	case strings.HasSuffix(f.Path, "/rpmdb.sqlite-wal") && f.Size > 0:
		e.seen.wal = true
	}
}

// Faults adds what a scan refuses.
func (e *Examiner) Faults(list []scan.Fault) {
	for _, fault := range list {
		c := &checks[slices.IndexFunc(checks, func(c check) bool { return c.refused && c.fault == fault.Kind })]
		if !e.ignores(c.id) {
			e.add(c, &format.File{Path: fault.Path}, fault.Path)
		}
	}
}

func (e *Examiner) add(c *check, f *format.File, target string) {
	g := e.found[c.id]
	if g == nil {
		g = newGathering()
		e.found[c.id] = g
	}
	g.add(f, target, c.each)
}

// Findings returns what was found, in the order of IDs().
func (e *Examiner) Findings() []Finding {
	var list []Finding
	for i := range checks {
		c := &checks[i]
		f := Finding{ID: c.id, Spoils: c.harm, What: c.what, Places: []Place{}}
		found := false
		if g := e.found[c.id]; g != nil && (!c.bootable || e.seen.kernelInUsr) {
			found = true
			f.Places, f.Files, f.Bytes = g.list(), g.files, g.bytes
			f.Advice, f.Options = c.advise(e, g)
		} else if c.image != nil && !e.ignores(c.id) {
			f, found = c.image(e, f)
		}
		if found {
			list = append(list, f)
		}
	}
	return list
}
