package dpkg

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// claimPackage claims the files of one package.
func (l *loader) claimPackage(ctx context.Context, e *Entry) error {
	pkg := l.out.Add(e.Name, e.Source)
	l.packages[e.Name] = pkg
	e.describe(pkg)
	p := &claimer{loader: l, entry: e, pkg: pkg, claim: l.out.Claim, conffiles: make(map[string]bool)}
	if e.State == stateRemoved {
		p.claim = l.out.ClaimSecond
	}
	if err := p.claimConffiles(ctx); err != nil {
		return err
	}
	if err := p.claimLists(ctx); err != nil {
		return err
	}
	dated, err := l.readChangelogs(ctx, e, pkg)
	if err != nil || dated {
		return err
	}
	return p.clampByFiles()
}

// claimer claims the files of one package.
type claimer struct {
	*loader
	entry     *Entry
	pkg       *assign.Package
	claim     func(pkg *assign.Package, file int)
	conffiles map[string]bool
	// newest is the newest mtime of a regular file, in unix seconds.
	newest int64
	found  bool // newest is valid
}

// claimConffiles claims the configuration files in the entry. It claims obsolete files only as a
// fallback. If the entry lists no configuration files, it reads the package's conffiles list.
func (p *claimer) claimConffiles(ctx context.Context) error {
	for _, path := range p.entry.Conffiles {
		p.conffiles[path] = true
	}
	for _, path := range p.entry.Obsolete {
		p.conffiles[path] = true
	}
	if file := p.db.find(p.entry, ".conffiles"); file != "" && len(p.conffiles) == 0 {
		if _, err := p.out.EachLine(ctx, p.lines, file, p.conffileLine); err != nil {
			return err
		}
	}
	for _, path := range p.entry.Conffiles {
		if _, err := p.path(path, p.claim, false); err != nil {
			return err
		}
	}
	for _, path := range p.entry.Obsolete {
		if _, err := p.path(path, p.out.ClaimSecond, false); err != nil {
			return err
		}
	}
	return nil
}

func (p *claimer) conffileLine(line []byte) (fault string, err error) {
	path := strings.TrimPrefix(string(line), "remove-on-upgrade ")
	if !strings.HasPrefix(path, "/") {
		return "is not a path", nil
	}
	if len(p.conffiles) >= maxConffiles {
		return fmt.Sprintf("more than %d configuration files", maxConffiles), nil
	}
	p.conffiles[path] = true
	p.entry.Conffiles = append(p.entry.Conffiles, path)
	return "", nil
}

// claimLists claims the files that the package lists. If the list is missing or incomplete, it also
// uses md5sums.
func (p *claimer) claimLists(ctx context.Context) error {
	list, sums := p.db.find(p.entry, ".list"), p.db.find(p.entry, ".md5sums")
	if list != "" {
		whole, err := p.claimList(ctx, list)
		if err != nil || whole {
			return err
		}
		p.out.Warn("reading %q: the list is truncated: package %q can have files that are not listed", list, p.entry.Name)
	} else if p.entry.State != stateRemoved && (p.entry.file == "" || sums == "") {
		p.listless = append(p.listless, p.entry.Name)
	}
	if sums == "" {
		return nil
	}
	_, err := p.out.EachLine(ctx, p.lines, sums, func(line []byte) (fault string, err error) {
		_, name, ok := bytes.Cut(line, []byte("  "))
		if !ok {
			return "is not a digest with a path", nil
		}
		_, err = p.path("/"+strings.TrimLeft(strings.TrimPrefix(string(name), "./"), "/"), p.claim, true)
		return "", err
	})
	return err
}

// claimList claims the files of one list, and reports whether the list is complete. Symlinks are
// claimed at the end, when the directories in the list are known.
func (p *claimer) claimList(ctx context.Context, list string) (whole bool, err error) {
	clear(p.seen)
	var dir string
	var links []string
	whole, err = p.out.EachLine(ctx, p.lines, list, func(line []byte) (fault string, err error) {
		path := string(line)
		switch {
		case path == "/.", !p.lines.Ended():
			return "", nil // a truncated path can belong to another package
		case !strings.HasPrefix(path, "/"):
			return "is not an absolute path", nil
		}
		if d := path[:strings.LastIndexByte(path, '/')]; d != dir {
			dir = d
			p.seen[d] = true
		}
		kind, err := p.path(path, p.claim, false)
		if kind == format.TypeSymlink {
			links = append(links, path)
		}
		return "", err
	})
	if err != nil {
		return false, err
	}
	for _, path := range links {
		if err := p.claimLink(path); err != nil {
			return false, err
		}
	}
	return whole, nil
}

// alwaysInstalled are source packages that every Debian system contains. Together they list all
// top-level directories that can be merged into /usr.
var alwaysInstalled = []string{"base-files", "glibc"}

// find finds a listed path at its diverted location. If no file exists there, the path was diverted
// without renaming, and the old location is a fallback claim.
func (p *claimer) find(path string) (i int, found, moved bool, err error) {
	to, diverted := p.divert(path)
	i, found, err = p.tree.Find(to)
	if err != nil || found || !diverted {
		return i, found, found, err
	}
	i, found, err = p.tree.Find(path)
	return i, found, false, err
}

// path finds a listed path and claims it. It does not claim symlinks, but returns the type, so that
// the caller can claim them. regular is set for conffiles and md5sums, which list only regular
// files.
func (p *claimer) path(path string, claim func(*assign.Package, int), regular bool) (format.Type, error) {
	i, found, moved, err := p.find(path)
	if !found {
		return 0, err
	}
	if !moved {
		claim = p.out.ClaimSecond
	}
	f := p.tree.Files[i]
	switch f.Type {
	case format.TypeDir:
		if regular {
			return 0, nil
		}
	case format.TypeSymlink:
		return f.Type, nil
	case format.TypeFile:
		if !p.conffiles[path] && (!p.found || f.MTime > p.newest) {
			p.newest, p.found = f.MTime, true
		}
	}
	claim(p.pkg, i)
	return f.Type, nil
}

// claimLink claims a listed symlink. A link that replaced a directory of the package is claimed
// only for base-files and glibc, and only at the top level. Many packages list such directories,
// and the link must not move to another layer when one of these packages is removed.
func (p *claimer) claimLink(path string) error {
	i, found, moved, err := p.find(path)
	switch {
	case !found:
		return err
	case !p.seen[path] && moved:
		p.claim(p.pkg, i)
	case !p.seen[path], strings.LastIndexByte(path, '/') == 0 && slices.Contains(alwaysInstalled, p.entry.Source):
		p.out.ClaimSecond(p.pkg, i)
	}
	return nil
}

// clampByFiles sets the component's clamp from file times. It is used if the package has no
// changelog.
func (p *claimer) clampByFiles() error {
	control, known, err := p.db.controlTime(p.entry)
	if err != nil {
		return err
	}
	switch {
	case known && p.found:
		p.out.Clamp(p.pkg, min(control, p.newest))
	case known:
		p.out.Clamp(p.pkg, control)
	case p.found:
		p.out.Clamp(p.pkg, p.newest)
	}
	return nil
}
