// Package ruby is the component repo of Ruby gems that RubyGems and Bundler have installed into gem
// homes anywhere in a tree. A gem home is a directory that contains a directory named
// specifications. Each NAME-VERSION.gemspec in specifications describes a gem.
//
// A component is a gem, "ruby/NAME", with all its versions in one home. In another home, it is
// "ruby/NAME@HOME" (see package places). A specification written by RubyGems contains the name at
// its top. Otherwise the name is the text before the first dash that is followed by a digit.
//
// A gem owns its specification, specifications/FULLNAME.gemspec; everything in gems/FULLNAME,
// doc/FULLNAME and extensions/PLATFORM/API/FULLNAME; cache/FULLNAME.gem; build_info/FULLNAME.info;
// and, in the home's bin directory, the executables that the specification lists. Gems that Bundler
// fetched from git are in bundler/gems/NAME-REVISION.
//
// Gems in specifications/default are part of Ruby itself. They are left to the package that
// contains Ruby.
package ruby

import (
	"context"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

// Repo is the ruby repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return "ruby" }

// Load implements assign.Repo.
func (r Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{tree: t, out: places.New(r.Name(), t), extensions: make(map[string]map[string][]string)}
	last := "" // the previous record's checkout
	for i, f := range t.Files {
		if home, full, found := gemspec(f.Path); found && f.Type == format.TypeFile {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			if err := l.gem(i, home, full); err != nil {
				return nil, err
			}
		}
		if dir, home, name, found := checkout(f.Path); found && dir != last {
			last = dir
			pkg := l.out.AddVersion(home, name)
			pkg.Type = "gem"
			l.out.ClaimBelow(pkg, dir)
		}
	}
	return l.out.Result(), nil
}

type loader struct {
	tree *assign.Tree
	out  *places.Collector
	// extensions contains the directories of compiled extensions, by home and full name.
	extensions map[string]map[string][]string
}

// gemspec returns the home and the full name from the path of a specification.
func gemspec(path string) (home, full string, found bool) {
	full, found = strings.CutSuffix(path, ".gemspec")
	dir := format.Parent(path)
	if !found || format.Base(dir) != "specifications" {
		return "", "", false
	}
	full = format.Base(full)
	return format.Parent(dir), full, full != ""
}

// checkout splits a path inside a gem that Bundler fetched from git.
func checkout(path string) (dir, home, name string, found bool) {
	const gems = "/bundler/gems/"
	home, below, found := strings.Cut(path, gems)
	if !found {
		return "", "", "", false
	}
	name, _, found = strings.Cut(below, "/")
	dir = home + gems + name
	cut := strings.LastIndexByte(name, '-')
	if !found || cut <= 0 || !isRevision(name[cut+1:]) {
		return "", "", "", false
	}
	if home == "" {
		home = "/"
	}
	return dir, home, name[:cut], true
}

// isRevision reports whether text is a git revision as Bundler shortens it.
func isRevision(text string) bool {
	return len(text) >= 7 && strings.Trim(text, "0123456789abcdef") == ""
}

// gem claims the files of one gem.
func (l *loader) gem(record int, home, full string) error {
	path := l.tree.Files[record].Path
	raw, fault, err := places.ReadRecord(l.tree, record, maxSpec)
	if err != nil {
		return err
	}
	if fault != nil {
		l.out.Warn("gem %q: %v", full, fault)
	}
	s := parse(string(raw)) // contains no names if there is a fault
	if s.name == "" || !strings.HasPrefix(full, s.name+"-") {
		if s.name != "" {
			l.out.Warn("gem %q: %q specifies the name %.100q", full, path, s.name)
		}
		s = spec{name: nameOf(full), executables: s.executables}
	}
	if s.version == "" {
		s.version = strings.TrimPrefix(full[len(s.name):], "-")
	}
	pkg := l.out.AddVersion(home, s.name)
	pkg.Type, pkg.Version, pkg.License = "gem", s.version, strings.Join(s.licenses, " AND ")
	l.out.Released(pkg, record, s.released)
	l.out.Claim(pkg, record)
	for _, dir := range []string{"gems/", "doc/"} {
		l.out.ClaimBelow(pkg, format.Join(home, dir+full))
	}
	for _, dir := range l.extensionsOf(home)[full] {
		l.out.ClaimBelow(pkg, dir)
	}
	files := []string{"cache/" + full + ".gem", "build_info/" + full + ".info"}
	for _, name := range s.executables {
		files = append(files, "bin/"+name)
	}
	for _, file := range files {
		if i, found := l.tree.Lookup(format.Join(home, file)); found && l.tree.Files[i].Type != format.TypeDir {
			l.out.Claim(pkg, i)
		}
	}
	return nil
}

// extensionsOf returns a home's directories of compiled extensions, three levels below extensions,
// by full name.
func (l *loader) extensionsOf(home string) map[string][]string {
	known, done := l.extensions[home]
	if done {
		return known
	}
	known = make(map[string][]string)
	l.extensions[home] = known
	top := format.Join(home, "extensions")
	last := ""
	from, to := l.tree.Below(top)
	for i := from; i < to; i++ {
		below := l.tree.Files[i].Path[len(top)+1:]
		parts := strings.SplitN(below, "/", 4)
		if len(parts) < 4 {
			continue
		}
		dir := top + "/" + strings.Join(parts[:3], "/")
		if dir != last {
			known[parts[2]] = append(known[parts[2]], dir)
		}
		last = dir
	}
	return known
}
