// Package opkg is the component repo of packages that opkg has installed. It reads the database in
// var/lib/opkg, which Yocto images use, or in usr/lib/opkg, which OpenWrt uses.
//
// # Database
//
// The file status contains an entry per package, in the format of dpkg's status file.
// info/NAME.list contains one path per line. In newer versions, the path is followed by the mode
// and, for a link, the target, separated by tabs.
//
// A status file that ends within its last entry, or that contains no packages although file lists
// exist, is an error. Faulty entries, packages without a file list, and file lists without a
// package cause warnings. The files in a list without a package belong to a component that is named
// after the list.
//
// # Components
//
// A component is a source package, "opkg/openssl". Its name is read from info/NAME.control, which
// contains a path in OpenWrt's source tree ("package/libs/openssl") or the name of a recipe
// ("openssl_3.0.bb"). A package without a source is its own component. Both database directories
// are "opkg/.database", because Yocto stores the choices of update-alternatives in usr/lib/opkg.
//
// A removed package claims its configuration files, unless another package lists them.
package opkg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/dpkg"
	"chunkah/lib/repo/pkgdb"
)

const repoName = "opkg"

// folders are the database directories, in the order of preference.
var folders = []string{"/var/lib/opkg", "/usr/lib/opkg"}

// suffixes are the suffixes of the configuration file copies that opkg keeps.
var suffixes = []string{"-opkg", "-opkg.backup"}

// Repo is the opkg repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's opkg database. It returns nil, nil if the tree contains no database.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{
		tree: t, lines: pkgdb.NewLines(), out: pkgdb.NewCollector(t, repoName), known: make(map[string]bool),
	}
	l.out.Suffixes = suffixes
	for _, folder := range folders {
		found, err := l.load(ctx, folder)
		if err != nil {
			return nil, err
		}
		if found {
			return l.out.Result(), nil
		}
	}
	return nil, nil
}

// loader adds the packages of a database to a collector.
type loader struct {
	tree  *assign.Tree
	lines *pkgdb.Lines
	out   *pkgdb.Collector

	status  string // physical paths
	info    string
	names   []string // names of the files in info, sorted
	known   map[string]bool
	entries []*dpkg.Entry
}

// load reads the database in a folder, if the folder contains a database.
func (l *loader) load(ctx context.Context, folder string) (found bool, err error) {
	dir, _, found, err := pkgdb.Dir(l.tree.Root, folder)
	if err != nil || !found {
		return false, err
	}
	if l.status, found, err = pkgdb.File(l.tree.Root, format.Join(dir, "status")); err != nil {
		return false, err
	}
	if l.info, l.names, _, err = pkgdb.Dir(l.tree.Root, format.Join(dir, "info")); err != nil {
		return false, err
	}
	lists := l.lists()
	if !found && len(lists) == 0 {
		return false, nil
	}
	if found {
		if err := l.readStatus(ctx); err != nil {
			return false, err
		}
	}
	if len(l.entries) == 0 && len(lists) > 0 {
		return false, fmt.Errorf("reading %q: contains no packages, but %q contains file lists of %s",
			format.Join(dir, "status"), l.info, pkgdb.List(lists))
	}
	for _, name := range lists {
		if !l.known[name] {
			l.out.Warn("found a file list of package %q in %q, but no entry for the package in %q",
				name, l.info, l.status)
			l.entries = append(l.entries, &dpkg.Entry{Name: name, State: installed})
		}
	}
	for _, e := range l.entries {
		if err := l.claim(ctx, e); err != nil {
			return false, err
		}
	}
	return true, l.claimOwn(dir)
}

// lists returns the names of the packages that have a list.
func (l *loader) lists() (names []string) {
	for _, file := range l.names {
		if name, found := strings.CutSuffix(file, ".list"); found && pkgdb.CheckName(name) == nil {
			names = append(names, name)
		}
	}
	return names
}

// control returns the path of a package's file in info, or "" if the file does not exist.
func (l *loader) control(name, kind string) string {
	if _, found := slices.BinarySearch(l.names, name+kind); !found {
		return ""
	}
	return format.Join(l.info, name+kind)
}

// claimOwn claims the database.
func (l *loader) claimOwn(dir string) error {
	for _, folder := range append([]string{dir}, folders...) {
		physical, found, err := pkgdb.Resolve(l.tree.Root, folder)
		if err != nil {
			return err
		}
		if found {
			l.out.OwnBelow(physical)
		}
	}
	l.out.Needs(l.info, l.names...)
	if l.info != "" && !format.IsBelow(dir, l.info) {
		l.out.OwnBelow(l.info)
	}
	if l.status == "" {
		return nil
	}
	l.out.Needs(dir, "status")
	return l.out.Own(l.status)
}

// These are the states of a package that matter here.
const (
	installed = "installed"
	absent    = "not-installed"
)

// readStatus reads the entries of packages.
func (l *loader) readStatus(ctx context.Context) error {
	return l.lines.Read(ctx, l.tree.Root, l.status, func(text *pkgdb.Lines) error {
		var last *dpkg.Entry
		err := dpkg.ParseEntries(text, func(e *dpkg.Entry) {
			last = e
			for _, fault := range e.Faults {
				l.out.Warn("reading %q: package %q, line %d: %s", l.status, e.Name, e.Line, fault.What)
			}
			if err := pkgdb.CheckName(e.Name); err != nil {
				l.out.Warn("reading %q: line %d: skipping an entry: %v", l.status, e.Line, err)
				return
			}
			l.known[e.Name] = true
			if e.State != absent {
				l.entries = append(l.entries, e)
			}
		})
		switch {
		case err != nil:
			return err
		case last != nil && last.IsTruncated():
			return fmt.Errorf("package %q, line %d: is truncated", last.Name, last.Line)
		case len(l.known) == 0 && text.Number() > 0:
			return errors.New("contains no package")
		}
		return nil
	})
}

// claim claims the files of a package.
func (l *loader) claim(ctx context.Context, e *dpkg.Entry) error {
	source, license, err := l.source(ctx, e.Name)
	if err != nil {
		return err
	}
	p := l.out.Add(e.Name, source)
	claim := l.out.ClaimSecond
	if e.State == installed {
		claim = l.out.Claim
		if p.Type, p.Version, p.Arch, p.License = "opkg", e.Version, e.Arch, license; source != e.Name {
			p.Source = source
		}
	}
	for _, path := range slices.Concat(e.Conffiles, e.Obsolete) {
		if i, found, err := l.tree.Find(path); err != nil {
			return err
		} else if found {
			claim(p, i)
		}
	}
	list := l.control(e.Name, ".list")
	if list == "" {
		if e.State == installed {
			l.out.Warn("looking for the files of package %q: no file list in %q", e.Name, l.info)
		}
		return nil
	}
	_, err = l.out.EachLine(ctx, l.lines, list, func(line []byte) (string, error) {
		path, _, _ := bytes.Cut(line, []byte("\t"))
		if !bytes.HasPrefix(path, []byte("/")) {
			return "is not an absolute path", nil
		}
		i, found, err := l.tree.Find(string(path))
		if found {
			claim(p, i)
		}
		return "", err
	})
	return err
}

// source returns the name of a package's source, or the package's own name if the source is
// unknown. It also returns the licence.
func (l *loader) source(ctx context.Context, name string) (source, license string, err error) {
	source = name
	file := l.control(name, ".control")
	if file == "" {
		return source, "", nil
	}
	_, err = l.out.EachLine(ctx, l.lines, file, func(line []byte) (string, error) {
		if value, found := bytes.CutPrefix(line, []byte("Source:")); found {
			if base := sourceName(string(bytes.TrimSpace(value))); base != "" {
				source = base
			}
		}
		if value, found := bytes.CutPrefix(line, []byte("License:")); found {
			license = format.Text(string(bytes.TrimSpace(value)))
		}
		return "", nil
	})
	return source, license, err
}

// sourceName returns the name of a source from the path of the source or of its recipe,
// NAME_VERSION.bb. It returns "" if the value is neither.
func sourceName(value string) string {
	name := pkgdb.SourceName(value)
	if recipe, found := strings.CutSuffix(name, ".bb"); found {
		name, _, _ = strings.Cut(recipe, "_")
	}
	if pkgdb.CheckName(name) != nil {
		return ""
	}
	return name
}
