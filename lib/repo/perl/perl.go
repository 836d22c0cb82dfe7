// Package perl is the component repo of Perl distributions that cpan, cpanm, carton or "make
// install" have installed anywhere in a tree. It finds these distributions by the file lists that
// ExtUtils::Install writes: auto/MODULE/PATH/.packlist in a library directory.
//
// # Components
//
// A component is a distribution, "perl/Module-Path", named after its main module, like its list. In
// another prefix, it is "perl/Module-Path@PREFIX" (see package places). Perl itself, if it was
// built from source, is "perl/perl". Its list is not below auto. perllocal.pod, which every
// installation extends, is "perl/.database".
//
// # Claims
//
// A list contains one absolute path per line, sometimes followed by attributes such as "type=file".
// A distribution owns its list, the files in the list, and the data in .meta/NAME-VERSION that
// cpanm stores. In lists made with DESTDIR, that directory precedes each path. Therefore, if a path
// does not exist, only the part of it that starts with the list's prefix is used.
//
// Lines that are not absolute paths cause one warning per list. The other lines are still used.
package perl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName = "perl"
	listName = ".packlist"
	// coreName is the name of Perl itself.
	coreName = "perl"
	// maxList is the largest size of a list, in bytes. Perl's own list is 200 kB.
	maxList = 16 << 20
	// maxMeta is the largest size of a cpanm file, in bytes. The longest files are about 200 kB.
	maxMeta = 4 << 20
)

// Repo is the perl repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{tree: t, out: places.New(repoName, t)}
	for i, f := range t.Files {
		if f.Type != format.TypeFile || t.Claimed(i) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := l.file(i); err != nil {
			return nil, err
		}
	}
	return l.out.Result(), nil
}

type loader struct {
	tree *assign.Tree
	out  *places.Collector
}

// file examines one file of the tree.
func (l *loader) file(i int) error {
	path := l.tree.Files[i].Path
	switch format.Base(path) {
	case listName:
		if prefix, name := split(path); name != "" {
			return l.claimList(i, prefix, name)
		}
	case "install.json":
		if format.Base(format.Parent(format.Parent(path))) == ".meta" {
			return l.claimMeta(i)
		}
	case "perllocal.pod":
		if strings.Contains(path, "/perl") {
			l.out.Own(i)
		}
	}
	return nil
}

// split returns the prefix and the name of the distribution to which a list belongs. name is "" if
// no list can have this path.
func split(path string) (prefix, name string) {
	dir := format.Parent(path)
	libraries, module, found := strings.Cut(dir, "/auto/")
	switch {
	case found:
		name = strings.ReplaceAll(module, "/", "-")
	case strings.Contains(dir, "/perl"):
		libraries, name = dir, coreName
	}
	return prefixOf(libraries), name
}

// prefixOf returns the prefix of a library directory: the directory above lib.
func prefixOf(libraries string) string {
	if cut := strings.LastIndex(libraries+"/", "/lib/"); cut > 0 {
		return libraries[:cut]
	}
	return "/"
}

// claimList claims the files in a list.
func (l *loader) claimList(record int, prefix, name string) error {
	path := l.tree.Files[record].Path
	p := l.out.Add(prefix, name)
	l.out.Claim(p, record)
	raw, fault, err := places.ReadRecord(l.tree, record, maxList)
	if err != nil {
		return err
	}
	if fault != nil {
		l.out.Warn("distribution %q: %v", name, fault)
		return nil
	}
	number, warned := 0, false
	for line := range bytes.Lines(raw) {
		number++
		listed, err := parseLine(line)
		if err == nil {
			if err := l.claimPath(p, prefix, listed); err != nil {
				return err
			}
		} else if !warned {
			warned = true
			l.out.Warn("distribution %q: line %d of %q: %v", name, number, path, err)
		}
	}
	return nil
}

// parseLine returns the path in a line, "" for an empty line.
func parseLine(line []byte) (string, error) {
	path := string(bytes.TrimRight(line, "\r\n"))
	if path == "" {
		return "", nil
	}
	for at := 0; at < len(path); at++ { // attributes: " type=file from=…"
		if path[at] == ' ' && isAttribute(path[at+1:]) {
			path = path[:at]
		}
	}
	if path == "" || path[0] != '/' || len(path) > assign.MaxListed || strings.IndexByte(path, 0) >= 0 {
		return "", fmt.Errorf("%.100q is not an absolute path", path)
	}
	return path, nil
}

// isAttribute reports whether a string begins with NAME=.
func isAttribute(text string) bool {
	name, _, found := strings.Cut(text[:min(len(text), 32)], "=")
	return found && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// claimPath claims the file at a listed path.
func (l *loader) claimPath(p *assign.Package, prefix, path string) error {
	i, found, err := l.tree.Find(path)
	if err == nil && !found && prefix != "/" {
		if cut := strings.Index(path, prefix+"/"); cut > 0 {
			i, found, err = l.tree.Find(path[cut:])
		}
	}
	if found && l.tree.Files[i].Type != format.TypeDir {
		l.out.Claim(p, i)
	}
	return err
}

// claimMeta claims the directory in which cpanm records the installation. The record's file names
// the main module.
func (l *loader) claimMeta(record int) error {
	dir := format.Parent(l.tree.Files[record].Path)
	m, fault, err := places.Parse(l.tree, record, maxMeta, parseMeta)
	if err != nil {
		return err
	}
	if fault != nil {
		l.out.Warn("distribution %q: %v", format.Base(dir), fault)
		return nil
	}
	p := l.out.Add(prefixOf(dir), m.component)
	p.Type, p.Namespace, p.Name, p.Version = "cpan", m.author, m.dist, m.version
	l.out.ClaimBelow(p, dir)
	return nil
}

// meta contains the fields of cpanm's data about a distribution that are used.
type meta struct {
	component string // the main module, as in the path of the list
	// dist is the name of the distribution, and author the ID of the user who uploaded it. If they
	// are not known, dist is the main module and author is empty.
	dist, author, version string
}

// parseMeta reads an install.json.
func parseMeta(raw []byte) (m meta, err error) {
	var listed struct{ Name, Version, Dist, Pathname string }
	if err := json.Unmarshal(raw, &listed); err != nil {
		return meta{}, fmt.Errorf("is not in the format of cpanm: %w", err)
	}
	m.component = strings.ReplaceAll(listed.Name, "::", "-")
	if m.component == "" || m.component[0] == '.' || strings.ContainsAny(m.component, "/\x00") {
		return meta{}, fmt.Errorf("%.100q is not the name of a module", listed.Name)
	}
	m.version = format.Text(listed.Version)
	// DIST is NAME-VERSION, and PATHNAME is A/AU/AUTHOR/FILE.
	if path := strings.Split(listed.Pathname, "/"); len(path) >= 4 {
		if name, found := strings.CutSuffix(listed.Dist, "-"+strings.TrimPrefix(listed.Version, "v")); found && name != "" {
			m.dist, m.author = format.Text(name), format.Text(path[2])
		} else if name, found := strings.CutSuffix(listed.Dist, "-"+listed.Version); found && name != "" {
			m.dist, m.author = format.Text(name), format.Text(path[2])
		}
	}
	if m.dist == "" {
		m.dist = format.Text(listed.Name) // a package URL without an author refers to a module
	}
	return m, nil
}
