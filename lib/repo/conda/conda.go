// Package conda is the component repo of environments that conda, mamba, micromamba or pixi have
// created anywhere in a tree. An environment is a directory PREFIX that contains conda-meta. Each
// PREFIX/conda-meta/NAME-VERSION-BUILD.json describes a package.
//
// # Components
//
// A component is a package, "conda/NAME". In another environment, it is "conda/NAME@PREFIX" (see
// package places). "conda/.database" contains the files that change whenever a package changes:
// conda-meta/history and the lists in the package cache.
//
// # Claims
//
// A package owns its record, the files that the record lists, and its files in the package cache
// PREFIX/pkgs: the archive, and the directory into which it was unpacked. Python distributions
// installed by conda belong to conda packages. Distributions that pip added to an environment are
// in no record. The python repo finds them.
//
// A record that cannot be read causes a warning. In that case, the package owns only the record.
package conda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName = "conda"
	metaName = "conda-meta"
	// maxRecord is the largest size of a record, in bytes. The record of a package with 30,000
	// files is about 12 MB.
	maxRecord = 64 << 20
)

// archives are the suffixes of packages in the cache.
var archives = []string{".conda", ".tar.bz2"}

// ownFiles are the files in an environment that belong to no package.
var ownFiles = []string{metaName + "/history", "pkgs/urls", "pkgs/urls.txt"}

// Repo is the conda repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{tree: t, out: places.New(repoName, t), cached: make(map[string]bool)}
	last := "" // environment of the previous record
	for i, f := range t.Files {
		dir := format.Parent(f.Path)
		full, isRecord := strings.CutSuffix(format.Base(f.Path), ".json")
		if !isRecord || full == "" || f.Type != format.TypeFile || format.Base(dir) != metaName {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		prefix := format.Parent(dir)
		if err := l.claim(i, prefix, full); err != nil {
			return nil, err
		}
		if prefix != last {
			l.claimOwn(prefix)
			last = prefix
		}
	}
	return l.out.Result(), nil
}

type loader struct {
	tree   *assign.Tree
	out    *places.Collector
	cached map[string]bool // directories and archives in caches that a package has claimed
}

// claimOwn claims the files that change whenever a package in the environment changes.
func (l *loader) claimOwn(prefix string) {
	for _, name := range ownFiles {
		if i, found := l.tree.Lookup(format.Join(prefix, name)); found {
			l.out.Own(i)
		}
	}
	from, to := l.tree.Below(format.Join(prefix, "pkgs/cache"))
	for i := from; i < to; i++ {
		l.out.Own(i)
	}
}

// record contains the fields of a package's record that are used.
type record struct {
	Name    string
	Version string
	License string
	Files   []string
	// Timestamp is the build time in milliseconds, or in seconds in old records.
	Timestamp json.RawMessage
	// Extracted is the directory into which the package was unpacked.
	Extracted string `json:"extracted_package_dir"`
}

// parse reads a record.
func parse(raw []byte) (r record, err error) {
	if err := json.Unmarshal(raw, &r); err != nil {
		return record{}, fmt.Errorf("is not the record of a package: %w", err)
	}
	if r.Name == "" || strings.ContainsAny(r.Name, "/\x00") || r.Name[0] == '.' {
		return record{}, errors.New("does not contain the name of its package")
	}
	return r, nil
}

// built returns the build time, or the zero time if it is unknown.
func (r *record) built() time.Time {
	const lastSecond = 253_402_300_799 // the end of the year 9999; larger numbers are milliseconds
	n, err := strconv.ParseInt(string(r.Timestamp), 10, 64)
	switch {
	case err != nil:
		return time.Time{}
	case n > lastSecond:
		return time.UnixMilli(n)
	}
	return time.Unix(n, 0)
}

// claim claims the files of the package that a record describes. full is NAME-VERSION-BUILD.
func (l *loader) claim(i int, prefix, full string) error {
	r, fault, err := places.Parse(l.tree, i, maxRecord, parse)
	if err != nil {
		return err
	}
	if fault != nil {
		l.out.Warn("package %q: %v", full, fault)
		r.Name = nameOf(full)
	}
	p := l.out.Add(prefix, r.Name)
	if fault == nil {
		p.Type, p.Version, p.License = "conda", format.Text(r.Version), format.Text(r.License)
		l.out.Released(p, i, r.built())
	}
	l.out.Claim(p, i)
	for _, name := range r.Files {
		file, found, err := l.tree.Find(format.Join(prefix, name))
		if err != nil {
			return err
		}
		if found && l.tree.Files[file].Type != format.TypeDir {
			l.out.Claim(p, file)
		}
	}
	if base := format.Base(r.Extracted); r.Extracted != "" && base != full {
		return nil // not in a cache
	}
	return l.claimCached(p, prefix, r.Extracted, full)
}

// claimCached claims a package's files in the cache. Several environments can share a cache.
func (l *loader) claimCached(p *assign.Package, prefix, extracted, full string) error {
	if extracted == "" {
		extracted = format.Join(prefix, "pkgs/"+full)
	}
	i, found, err := l.tree.Find(extracted)
	if err != nil {
		return err
	}
	if found && !l.cached[extracted] && format.Base(format.Parent(extracted)) == "pkgs" {
		l.cached[extracted] = true
		l.out.ClaimBelow(p, l.tree.Files[i].Path)
	}
	for _, suffix := range archives {
		if i, found, err = l.tree.Find(extracted + suffix); err != nil {
			return err
		}
		if found && !l.cached[extracted+suffix] {
			l.cached[extracted+suffix] = true
			l.out.Claim(p, i)
		}
	}
	return nil
}

// nameOf returns NAME from NAME-VERSION-BUILD.
func nameOf(full string) string {
	name := full
	for range 2 {
		if cut := strings.LastIndexByte(name, '-'); cut > 0 {
			name = name[:cut]
		}
	}
	return name
}
