// Package chisel is the component repo of roots that chisel has assembled from parts of Ubuntu
// packages. Such a root contains a manifest, var/lib/chisel/manifest.wall, instead of a dpkg
// database.
//
// # Manifest
//
// The manifest is compressed with zstd. It contains one JSON object per line ("jsonwall"): first a
// header with the number of lines, then packages, slices, paths, and the contents of slices. A path
// lists the slices that contain it. A slice is named PACKAGE_SLICE.
//
// A manifest with fewer or more lines than its header specifies is an error. An invalid line causes
// a warning, and the other lines are still used.
//
// # Components
//
// A component is a package, "chisel/libssl3", with all its slices. A manifest does not name source
// packages. If var/lib/dpkg/status lists the package, as it does in images that are meant to be
// readable by scanners, the component is the source package: "chisel/openssl". The manifest is
// "chisel/.database".
//
// A directory or link that is in slices of several packages belongs to all these packages.
package chisel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/dpkg"
	"chunkah/lib/repo/pkgdb"
)

const (
	repoName = "chisel"
	manifest = "/var/lib/chisel/manifest.wall"
	status   = "/var/lib/dpkg/status"
	// maxLines is the largest number of lines in a manifest. A manifest contains about three lines
	// for each file in the root.
	maxLines = 4 << 20
)

// Repo is the chisel repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's manifest. It returns nil, nil if the tree contains no manifest.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	path, found, err := pkgdb.File(t.Root, manifest)
	if err != nil || !found {
		return nil, err
	}
	l := &loader{
		tree: t, lines: pkgdb.NewLines(), out: pkgdb.NewCollector(t, repoName),
		sources: make(map[string]string), packages: make(map[string]*assign.Package),
	}
	if err := l.readSources(ctx); err != nil {
		return nil, err
	}
	l.path = path
	if err := l.lines.ReadZstd(ctx, t.Root, path, l.parse); err != nil {
		return nil, err
	}
	if err := l.out.Own(path); err != nil {
		return nil, err
	}
	l.out.Needs(format.Parent(path), format.Base(path))
	return l.out.Result(), nil
}

// loader adds the packages of a manifest to a collector.
type loader struct {
	tree     *assign.Tree
	lines    *pkgdb.Lines
	out      *pkgdb.Collector
	path     string // manifest path
	sources  map[string]string
	packages map[string]*assign.Package
}

// readSources reads the source of each package from dpkg's status file, if it exists. It ignores
// faults in the file, because the dpkg repo reports them.
func (l *loader) readSources(ctx context.Context) error {
	path, found, err := pkgdb.File(l.tree.Root, status)
	if err != nil || !found {
		return err
	}
	return l.lines.Read(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		return dpkg.ParseEntries(text, func(e *dpkg.Entry) {
			if pkgdb.CheckName(e.Source) == nil {
				l.sources[e.Name] = e.Source
			}
		})
	})
}

// line contains the fields of a manifest line that are used.
type line struct {
	Jsonwall string
	Count    int
	Kind     string
	Name     string
	Version  string
	Arch     string
	Path     string
	Slices   []string
}

// parse reads a manifest.
func (l *loader) parse(text *pkgdb.Lines) error {
	want := 0
	for text.Next() {
		var at line
		fault := text.Fault()
		if fault == "" && json.Unmarshal(text.Text(), &at) != nil {
			fault = fmt.Sprintf("%.60q is not an object of a manifest", text.Text())
		}
		if text.Number() == 1 {
			if want = at.Count; at.Jsonwall == "" || want > maxLines {
				return fmt.Errorf("line 1: is not the header of a manifest with at most %d lines", maxLines)
			}
			continue
		}
		if text.Number() > want {
			break
		}
		if fault == "" {
			var err error
			if fault, err = l.line(at); err != nil {
				return err
			}
		}
		if fault != "" {
			l.out.Warn("reading %q: line %d: %s", l.path, text.Number(), fault)
		}
	}
	switch {
	case text.Err() != nil:
		return text.Err()
	case text.Number() != want:
		return fmt.Errorf("line %d: the header specifies %d lines", text.Number(), want)
	case !l.out.Found():
		return errors.New("contains no package")
	}
	return nil
}

// line adds the package that a line describes, or claims the path that it lists.
func (l *loader) line(at line) (fault string, err error) {
	switch at.Kind {
	case "package":
		if err := pkgdb.CheckName(at.Name); err != nil {
			return fmt.Sprintf("package: %v", err), nil
		}
		p := l.add(at.Name)
		if l.sources[at.Name] == "" { // the dpkg repo does not list it
			p.Type, p.Version, p.Arch = "deb", at.Version, at.Arch
		}
		return "", nil
	case "path":
		return l.claim(at)
	}
	return "", nil
}

// add returns the package with the given name, and adds it if it is new.
func (l *loader) add(name string) *assign.Package {
	p := l.packages[name]
	if p == nil {
		source := l.sources[name]
		if source == "" {
			source = name
		}
		p = l.out.Add(name, source)
		l.packages[p.Name] = p
	}
	return p
}

// claim claims a path for the packages whose slices contain it.
func (l *loader) claim(at line) (fault string, err error) {
	i, found, err := l.tree.Find(at.Path)
	if err != nil || !found {
		return "", err
	}
	if strings.HasSuffix(at.Path, "/") != (l.tree.Files[i].Type == format.TypeDir) {
		return "", nil // the file at the path has another type
	}
	for _, slice := range at.Slices {
		name, _, _ := strings.Cut(slice, "_")
		if err := pkgdb.CheckName(name); err != nil {
			return fmt.Sprintf("path %.60q: %v", at.Path, err), nil
		}
		l.out.Claim(l.add(name), i)
	}
	return "", nil
}
