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

// maxPath bounds a path, in bytes: PATH_MAX of Linux.
const maxPath = 4096

// loader carries a database into a collector.
type loader struct {
	tree  *assign.Tree
	lines *pkgdb.Lines
	out   *pkgdb.Collector
	path  string // of the database

	pkg entry
}

// entry is the package that is being read. Its component is known by the time of
// its first file, which comes after all that names it.
type entry struct {
	open   bool // a line was read
	name   string
	origin string
	built  int64
	comp   int // -1 until it is needed
	dir    string
	hasDir bool
}

// read reads the database at a physical path.
func (l *loader) read(ctx context.Context, path string) error {
	l.path = path
	l.pkg = entry{comp: -1}
	return l.lines.Read(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		if err := parse(text, l.line, l.end); err != nil {
			return err
		}
		if !text.Ended() {
			return fmt.Errorf("line %d: package %q: is cut short", text.Number(), l.pkg.name)
		}
		if l.pkg.open {
			l.out.Warn("reading %q: there is no empty line after package %q: the file may be cut short", path, l.pkg.name)
			l.end()
		}
		if l.out.Packages == 0 && text.Number() > 0 {
			return errors.New("holds no package")
		}
		return nil
	})
}

// parse hands each line to line, which says what is wrong with it, and the ends of
// entries to end.
func parse(text *pkgdb.Lines, line func(number int, kind byte, value []byte, fault string), end func()) error {
	for text.Next() {
		t := text.Text()
		switch {
		case text.Fault() != "":
			line(text.Number(), 0, nil, text.Fault())
		case len(bytes.TrimSpace(t)) == 0:
			end()
		case len(t) < 2 || t[1] != ':':
			line(text.Number(), 0, nil, fmt.Sprintf("%.60q is not a letter, a colon and a value", t))
		default:
			line(text.Number(), t[0], t[2:], "")
		}
	}
	return text.Err()
}

// end takes the end of an entry.
func (l *loader) end() {
	if l.pkg.open {
		if err := l.component(); err == nil || l.pkg.name != "" {
			l.out.Packages++
		} else {
			l.out.Warn("reading %q: leaving out an entry before line %d: %v", l.path, l.lines.Number(), err)
		}
	}
	l.pkg = entry{comp: -1}
}

func (l *loader) line(number int, kind byte, value []byte, fault string) {
	l.pkg.open = true
	if fault == "" {
		if err := l.take(kind, value); err != nil {
			fault = err.Error()
		}
	}
	if fault != "" {
		l.out.Warn("reading %q: line %d: package %q: %s", l.path, number, l.pkg.name, fault)
	}
}

// take takes one line.
func (l *loader) take(kind byte, value []byte) error {
	p := &l.pkg
	switch kind {
	case 'P':
		if p.name != "" {
			// The empty line between two entries is lost, not the second entry.
			l.end()
			p.open, p.name = true, text(value)
			return errors.New("no empty line before it")
		}
		p.name = text(value)
	case 'o':
		p.origin = text(value)
	case 't':
		built, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || built < 0 || built > format.MaxInt {
			return fmt.Errorf("build time %.30q is no number of seconds", value)
		}
		p.built = built
	case 'F':
		return l.directory(value)
	case 'R':
		return l.file(value)
	}
	return nil
}

// text is a value that counts, as far as a name may be long.
func text(value []byte) string { return string(value[:min(len(value), maxPath)]) }

// component makes the package's component known.
func (l *loader) component() error {
	p := &l.pkg
	if p.comp >= 0 {
		return nil
	}
	if p.name == "" {
		return errors.New("it names no package")
	}
	name := p.origin
	if pkgdb.CheckName(name) != nil {
		name = p.name
	}
	if err := pkgdb.CheckName(name); err != nil {
		return err
	}
	p.comp = l.out.Component(name)
	if p.built > 0 {
		l.out.Clamp(p.comp, p.built)
		l.out.Update(p.comp, p.built)
	}
	return nil
}

// directory opens a directory, and claims it where it is one.
func (l *loader) directory(value []byte) error {
	l.pkg.hasDir = false
	if len(value) > maxPath {
		return fmt.Errorf("path of %d bytes", len(value))
	}
	if err := l.component(); err != nil {
		return err
	}
	l.pkg.dir, l.pkg.hasDir = "/"+strings.Trim(string(value), "/"), true
	if l.pkg.dir == "/" {
		return nil // everybody's
	}
	if i, ok := l.tree.Find(l.pkg.dir); ok && l.tree.Files[i].Type == format.TypeDir {
		l.out.Claim(l.pkg.comp, i)
		l.tree.Name(i, l.pkg.name)
	}
	return nil
}

// file claims a file of the open directory.
func (l *loader) file(value []byte) error {
	switch {
	case !l.pkg.hasDir:
		return fmt.Errorf("file %.60q is in no directory", value)
	case len(value) == 0, len(value) > maxPath, bytes.IndexByte(value, '/') >= 0:
		return fmt.Errorf("%.60q is no file name", value)
	}
	if i, ok := l.tree.Find(pkgdb.Join(l.pkg.dir, string(value))); ok && l.tree.Files[i].Type != format.TypeDir {
		l.out.Claim(l.pkg.comp, i)
		l.tree.Name(i, l.pkg.name)
	}
	return nil
}
