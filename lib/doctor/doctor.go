// Package doctor finds problems in a root file system before it becomes an image: files that change
// with every build, break booting or updating, leak secrets, or cannot be stored in an image.
//
// It reads the output of assign, which lists the files that the image would contain with the
// options of the build, and the mtime clamps of packages. It also reads the first page of a few
// files, which are selected by name. Each kind of finding has a stable ID and advice on what to do.
// Findings are collected by directory, so memory grows with the number of directories, not files.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/chain"
	"chunkah/lib/oci"
	"chunkah/lib/patch"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
)

// Harm is the kind of harm that a finding causes.
type Harm string

// The kinds of harm.
const (
	HarmReuse  Harm = "reuse"  // layers change unnecessarily
	HarmBoot   Harm = "boot"   // a bootable image does not start or update correctly
	HarmSecret Harm = "secret" // the image reveals a secret of one machine
	HarmBuild  Harm = "build"  // chunkah build fails
	HarmSize   Harm = "size"   // the image is far larger than its source
	HarmClient Harm = "client" // some clients cannot create the files
)

// Finding is the result of a check that found something.
type Finding struct {
	ID   ID   `json:"id"`
	Harm Harm `json:"spoils"`
	// What describes the finding in one sentence, without a period.
	What string `json:"what"`
	// Files and Bytes are the totals for all places. Hard links count once.
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
	// Places are the affected paths, in order. They are empty if the finding is not about files.
	Places []Place `json:"paths"`
	Advice string  `json:"advice"`
	// Options are the options for scan, build and doctor that implement the advice, if there are
	// any.
	Options []string `json:"options,omitempty"`
}

// Place is a file, or a directory with a slash at its end.
type Place struct {
	Path         string
	Files, Bytes int64 // totals of the files found in the place
}

// MarshalJSON encodes a place as documented in docs/doctor.md. A path that is not UTF-8 is encoded
// as in the stream (format/SPEC.md, section 3).
func (p Place) MarshalJSON() ([]byte, error) {
	object := struct {
		Path    string `json:"path"`
		PathRaw []byte `json:"path_raw,omitempty"`
		Files   int64  `json:"files"`
		Bytes   int64  `json:"bytes"`
	}{Files: p.Files, Bytes: p.Bytes}
	object.Path, object.PathRaw = format.TextRaw(p.Path)
	return json.Marshal(object)
}

// Options configure the checks. By default, all checks are made.
type Options struct {
	// Root is the root from which files are read.
	Root *rootfs.Root
	// Dir is the directory of the root, for commands in advice. It is empty for an image.
	Dir string
	// Config and DiffIDs come from the examined image. They are nil if the source is not an image.
	Config  *oci.Config
	DiffIDs []digest.Digest
	// Layers are the layers of the examined image, from the bottom up. They are nil if the source
	// is not an image or the stability of any layer is unknown.
	Layers []chain.Layer
	// Removed are files in the layers of the examined image that are no longer visible in it.
	Removed []patch.Removed
	// Ignore lists checks to skip.
	Ignore []ID
}

// Examiner collects findings.
type Examiner struct {
	opt    Options
	index  map[string][]rule // by the name of a top-level directory
	always []*check          // checks that apply to every file
	found  map[ID]*collection
	tree   tree
	// seen contains facts that change the advice.
	seen struct {
		kernelInUsr, kernelInBoot, wal bool
		extractor                      string // extractor of the first archive that contains other archives
	}

	header  format.Header
	bounded map[string]int64 // mtime clamps by component
}

// New makes an examiner.
func New(opt Options) *Examiner {
	e := &Examiner{
		opt: opt, index: make(map[string][]rule), found: make(map[ID]*collection), bounded: make(map[string]int64),
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

// Run examines a whole stream. Components come before files.
func (e *Examiner) Run(ctx context.Context, in format.Source) error {
	for rec, err := range format.All(in) {
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
	return nil
}

// file runs the checks for one file. A file that should be left out is reported only once.
func (e *Examiner) file(f *format.File) error {
	e.tree.observe(f)
	if f.Type == format.TypeDir || f.Type == format.TypeWhiteout {
		return nil
	}
	e.observe(f)
	top, _, _ := strings.Cut(f.Path[1:], "/")
	for _, r := range e.index[top] {
		target, in := r.match(f.Path)
		if !in {
			continue
		}
		hit, err := r.check.matches(e, f)
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
		hit, err := c.matches(e, f)
		if err != nil {
			return fmt.Errorf("looking for %s: %w", c.id, err)
		}
		if hit {
			e.add(c, f, f.Path)
		}
	}
	return nil
}

// observe records facts that change the advice.
func (e *Examiner) observe(f *format.File) {
	switch {
	case strings.HasPrefix(f.Path, "/usr/lib/modules/") && strings.HasSuffix(f.Path, "/vmlinuz"):
		e.seen.kernelInUsr = true
	case strings.HasPrefix(f.Path, "/boot/vmlinuz"):
		e.seen.kernelInBoot = true
	case strings.HasSuffix(f.Path, "/rpmdb.sqlite-wal") && f.Size > 0:
		e.seen.wal = true
	}
}

// Faults adds the problems that scan reported.
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
		g = newCollection()
		e.found[c.id] = g
	}
	g.add(f, target, c.each)
}

// Findings returns all findings, in the order of IDs.
func (e *Examiner) Findings() []Finding {
	var list []Finding
	for i := range checks {
		c := &checks[i]
		f := Finding{ID: c.id, Harm: c.harm, What: c.what, Places: []Place{}}
		found := false
		if g := e.found[c.id]; g != nil && (!c.bootable || e.bootable()) {
			found = true
			f.Places, f.Files, f.Bytes = g.list(), g.files, g.bytes
			f.Advice, f.Options = c.advise(e, g)
			if c.inImage != "" && e.opt.Config != nil {
				f.Harm = c.inImage
			}
		} else if c.whole != nil && !e.ignores(c.id) {
			f, found = c.whole(e, f)
		}
		if found {
			list = append(list, f)
		}
	}
	return list
}
