// Package rlang is the component repo "r": R packages that install.packages, pak or renv have
// installed into libraries anywhere in a tree. A library is a directory of packages. A package is a
// directory that contains DESCRIPTION and Meta/package.rds, which R writes when it installs a
// package. The directory always has the same name as its package.
//
// A component is a package, "r/NAME". In another library, it is "r/NAME@LIBRARY" (see package
// places). The packages that are part of R itself (Priority: base) are the component "r/base",
// because they are updated together.
//
// A package owns everything in its directory. A DESCRIPTION that cannot be read, or that describes
// another package, causes a warning, but the directory is still treated as a package.
package rlang

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName = "r"
	marker   = "/Meta/package.rds"
	baseName = "base"
	// maxDescription is the largest size of a DESCRIPTION, in bytes. The longest are about 20 kB.
	maxDescription = 1 << 20
)

// Repo is the R repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	out := places.New(repoName, t)
	dirs := find(t)
	for _, dir := range places.Outermost(dirs) { // inner directories are test fixtures in packages
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		record, name := dirs[dir], format.Base(dir)
		d, fault, err := read(t, record, name)
		if err != nil {
			return nil, err
		}
		if fault != nil && !t.Claimed(record) {
			out.Warn("package %q: %v", dir, fault)
		}
		library := format.Parent(dir)
		var p *assign.Package
		if d.isBase {
			p = out.AddTo(out.Component(library, baseName), name)
		} else {
			p = out.Add(library, name)
		}
		if fault == nil {
			p.Type, p.Version, p.License = "cran", d.version, d.license
			out.Released(p, record, d.released)
		}
		out.ClaimBelow(p, dir)
	}
	return out.Result(), nil
}

// find returns the package directories, each with the record of its DESCRIPTION.
func find(t *assign.Tree) map[string]int {
	dirs := make(map[string]int)
	for _, f := range t.Files {
		dir, found := strings.CutSuffix(f.Path, marker)
		if !found || dir == "" || f.Type != format.TypeFile {
			continue
		}
		if record, found := t.Lookup(dir + "/DESCRIPTION"); found {
			dirs[dir] = record
		}
	}
	return dirs
}

// read reads the DESCRIPTION of the named package.
func read(t *assign.Tree, record int, name string) (d description, fault, err error) {
	raw, fault, err := places.ReadRecord(t, record, maxDescription)
	if fault != nil || err != nil {
		return d, fault, err
	}
	if d = parse(raw); d.name != name {
		return description{}, fmt.Errorf("%q belongs to package %.100q", t.Files[record].Path, d.name), nil
	}
	return d, nil, nil
}

// description contains the fields of a DESCRIPTION that are used.
type description struct {
	name, version, license string
	isBase                 bool // the package is part of R itself
	released               time.Time
}

// parse reads a DESCRIPTION.
func parse(raw []byte) (d description) {
	for line := range bytes.Lines(raw) {
		field, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			continue
		}
		switch value := string(bytes.TrimSpace(value)); string(field) {
		case "Package":
			d.name = value
		case "Version":
			d.version = format.Text(value)
		case "License":
			d.license = format.Text(value)
		case "Packaged", "Date/Publication": // Packaged also names the packager; Date/Publication comes last
			at, _, _ := strings.Cut(value, ";")
			d.released = places.ParseTime(strings.TrimSuffix(at, " UTC"), time.DateTime, time.DateOnly)
		case "Priority":
			d.isBase = value == "base"
		}
	}
	return d
}
