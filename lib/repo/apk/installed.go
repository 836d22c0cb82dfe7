package apk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

// loader adds the packages of a database to a collector.
type loader struct {
	tree  *assign.Tree
	lines *pkgdb.Lines
	out   *pkgdb.Collector
	path  string // database path

	pkg entry
}

// entry is the package that is being read. The lines that name the package come first, so its
// component is known before its first file.
type entry struct {
	*assign.Package // nil until needed

	open   bool // a line was read
	name   string
	origin string
	built  int64
	about  assign.Package // version, architecture and licence
	dir    string
	hasDir bool
}

// read reads the database at a physical path.
func (l *loader) read(ctx context.Context, path string) error {
	l.path, l.pkg = path, entry{}
	return l.lines.Read(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		if err := parse(text, l.line, l.end); err != nil {
			return err
		}
		if !text.Ended() {
			return fmt.Errorf("line %d: package %q: is truncated", text.Number(), l.pkg.name)
		}
		if l.pkg.open {
			l.out.Warn("reading %q: no empty line after package %q: the file may be truncated", path, l.pkg.name)
			l.end()
		}
		if !l.out.Found() && text.Number() > 0 {
			return errors.New("has no package")
		}
		return nil
	})
}

// parse calls the function line for each line, and the function end after each entry. If a line is
// faulty, fault describes the problem.
func parse(text *pkgdb.Lines, line func(number int, kind byte, value []byte, fault string) error, end func()) error {
	for text.Next() {
		t := text.Text()
		var err error
		switch {
		case text.Fault() != "":
			err = line(text.Number(), 0, nil, text.Fault())
		case len(bytes.TrimSpace(t)) == 0:
			end()
		case len(t) < 2 || t[1] != ':':
			err = line(text.Number(), 0, nil, fmt.Sprintf("%.60q: expected LETTER:VALUE", t))
		default:
			err = line(text.Number(), t[0], t[2:], "")
		}
		if err != nil {
			return err
		}
	}
	return text.Err()
}

// end finishes an entry.
func (l *loader) end() {
	if l.pkg.open {
		switch err := l.add(); {
		case err != nil && l.pkg.name == "":
			l.out.Warn("reading %q: skipping an entry before line %d: %v", l.path, l.lines.Number(), err)
		case err != nil:
			l.pkg.describe(l.out.Add(l.pkg.name, ""))
		}
	}
	l.pkg = entry{}
}

// line reads one line and claims the path in it.
func (l *loader) line(number int, kind byte, value []byte, fault string) error {
	l.pkg.open = true
	if fault == "" {
		path, err := l.parseLine(kind, value)
		if err == nil && path != "" {
			return l.claim(path, kind == 'F')
		}
		if err != nil {
			fault = err.Error()
		}
	}
	if fault != "" {
		l.out.Warn("reading %q: line %d: package %q: %s", l.path, number, l.pkg.name, fault)
	}
	return nil
}

// claim claims a directory if one exists, or a file if something else exists.
func (l *loader) claim(path string, isDir bool) error {
	i, found, err := l.tree.Find(path)
	if found && (l.tree.Files[i].Type == format.TypeDir) == isDir {
		l.out.Claim(l.pkg.Package, i)
	}
	return err
}

// parseLine parses one line. It returns the path to claim, if any.
func (l *loader) parseLine(kind byte, value []byte) (path string, err error) {
	p := &l.pkg
	switch kind {
	case 'P':
		if p.name != "" {
			// Only the empty line between two entries is missing.
			l.end()
			p.open, p.name = true, text(value)
			return "", errors.New("no empty line before it")
		}
		p.name = text(value)
	case 'o':
		p.origin = text(value)
	case 't':
		built, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || built < 0 || built > format.MaxInt {
			return "", fmt.Errorf("build time %.30q is not a number of seconds", value)
		}
		p.built = built
	case 'V':
		p.about.Version = text(value)
	case 'A':
		p.about.Arch = text(value)
	case 'L':
		p.about.License = text(value)
	case 'F':
		return l.directory(value)
	case 'R':
		return l.file(value)
	}
	return "", nil
}

// text returns a value, truncated to the length of the longest allowed name.
func text(value []byte) string { return string(value[:min(len(value), assign.MaxListed)]) }

// add adds the package, unless it was already added.
func (l *loader) add() error {
	p := &l.pkg
	if p.Package != nil {
		return nil
	}
	if p.name == "" {
		return errors.New("no package name")
	}
	name := pkgdb.SourceName(p.origin)
	if name == "" {
		name = p.name
	}
	if err := pkgdb.CheckName(name); err != nil {
		return err
	}
	p.Package = l.out.Add(p.name, name)
	p.describe(p.Package)
	if p.built > 0 {
		l.out.Clamp(p.Package, p.built)
		l.out.Update(p.Package, p.built)
	}
	return nil
}

// describe fills in the remaining fields of the package. Packages created by apk add --virtual are
// only lists of other packages.
func (e *entry) describe(p *assign.Package) {
	if strings.HasPrefix(e.name, ".") {
		return
	}
	p.Type, p.Version, p.Arch, p.License = "apk", e.about.Version, e.about.Arch, e.about.License
	if e.origin != e.name {
		p.Source = e.origin
	}
}

// directory opens a directory.
func (l *loader) directory(value []byte) (path string, err error) {
	l.pkg.hasDir = false
	if len(value) > assign.MaxListed {
		return "", fmt.Errorf("path of %d bytes", len(value))
	}
	if err := l.add(); err != nil {
		return "", err
	}
	l.pkg.dir, l.pkg.hasDir = "/"+strings.Trim(string(value), "/"), true
	if l.pkg.dir == "/" {
		return "", nil // every package lists the root directory
	}
	return l.pkg.dir, nil
}

// file returns the path of a file in the open directory.
func (l *loader) file(value []byte) (path string, err error) {
	switch {
	case !l.pkg.hasDir:
		return "", fmt.Errorf("file %.60q is in no directory", value)
	case len(value) == 0, len(value) > assign.MaxListed, bytes.IndexByte(value, '/') >= 0:
		return "", fmt.Errorf("%.60q is not a file name", value)
	}
	return format.Join(l.pkg.dir, string(value)), nil
}
