package dpkg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

const (
	// maxValue is the largest size of a field value that is used, in bytes.
	maxValue = 4096
	// maxConffiles is the largest number of configuration files in one package.
	maxConffiles = 100_000
)

// These are the package states in the Status field that are used here.
const (
	stateInstalled = "installed"
	stateRemoved   = "config-files"
	stateAbsent    = "not-installed"
)

// unfinished are the states in which dpkg stopped half-way.
var unfinished = []string{"half-installed", "unpacked", "half-configured"}

// Entry is the entry of one package in status. opkg writes the same format.
type Entry struct {
	Name   string
	Source string // the package's own name if the field is missing
	// sourceVersion is empty if it equals the package's own version.
	sourceVersion string
	Version       string
	Arch          string
	multi         bool   // can be installed for several architectures at once
	status        string // the whole field
	State         string
	// Conffiles are paths.
	Conffiles, Obsolete []string
	// file is the entry's file name in status.d. It is empty for an entry in status.
	file string
	Line int // number of the entry's first line

	Faults []Fault
	fields int
	// closed is set if an empty line follows.
	closed bool
}

// Fault describes a faulty line.
type Fault struct {
	line int
	What string
}

func (e *Entry) fault(line int, what string) {
	const most = 4 // the first faults are enough
	if len(e.Faults) < most {
		e.Faults = append(e.Faults, Fault{line, what})
	}
}

// parser reads entries: fields of "Name: value", continuation lines that begin with a blank, and an
// empty line after each entry (deb822).
type parser struct {
	text  *pkgdb.Lines
	visit func(*Entry)
	entry *Entry
	field string // the current field's name, in lower case
}

// ParseEntries calls visit for every entry of a status file.
func ParseEntries(text *pkgdb.Lines, visit func(*Entry)) error {
	p := &parser{text: text, visit: visit}
	for text.Next() {
		p.line(text.Text())
	}
	p.finish(false)
	return text.Err()
}

func (p *parser) finish(closed bool) {
	if p.entry != nil {
		p.entry.closed = closed
		if p.entry.Source == "" {
			p.entry.Source = p.entry.Name
		}
		p.visit(p.entry)
	}
	p.entry, p.field = nil, ""
}

func (p *parser) line(line []byte) {
	if p.text.Fault() == "" && (len(line) == 0 || p.entry == nil && len(bytes.TrimSpace(line)) == 0) {
		p.finish(true)
		return
	}
	if p.entry == nil {
		p.entry = &Entry{Line: p.text.Number()}
	}
	if what := p.text.Fault(); what != "" {
		p.entry.fault(p.text.Number(), what)
		return
	}
	if line[0] == ' ' || line[0] == '\t' {
		p.more(bytes.TrimSpace(line))
		return
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		p.field = ""
		p.entry.fault(p.text.Number(), fmt.Sprintf("%.60q is not a field", line))
		return
	}
	p.set(name, bytes.TrimSpace(value))
}

// more reads a continuation line.
func (p *parser) more(line []byte) {
	if p.entry.fields == 0 {
		p.entry.fault(p.text.Number(), fmt.Sprintf("%.60q continues a line, but there is no field above it", line))
		return
	}
	if p.field != "conffiles" || len(line) == 0 {
		return
	}
	if err := p.entry.conffile(string(line)); err != nil {
		p.entry.fault(p.text.Number(), err.Error())
	}
}

func (p *parser) set(name, value []byte) {
	p.field = strings.ToLower(string(name[:min(len(name), maxValue)]))
	e := p.entry
	var to *string
	switch p.field {
	case "package":
		if e.Name != "" {
			// Only the empty line between two entries is missing.
			e.fault(p.text.Number(), "no empty line before the next package")
			p.finish(true)
			p.entry = &Entry{Line: p.text.Number()}
			e, p.field = p.entry, "package"
		}
		to = &e.Name
	case "source":
		to = &e.Source
		var version []byte // in parentheses
		value, version, _ = bytes.Cut(value, []byte(" "))
		if version = bytes.Trim(version, "() "); len(version) <= maxValue {
			e.sourceVersion = string(version)
		}
	case "version":
		to = &e.Version
	case "architecture":
		to = &e.Arch
	case "status":
		to = &e.status
	case "multi-arch":
		e.multi = string(value) == "same"
	}
	e.fields++
	switch {
	case to == nil:
	case *to != "":
		e.fault(p.text.Number(), fmt.Sprintf("field %s occurs twice", name))
	case len(value) > maxValue:
		e.fault(p.text.Number(), fmt.Sprintf("field %s has %d bytes", name, len(value)))
	default:
		*to = string(value)
	}
	if p.field == "status" {
		if words := strings.Fields(e.status); len(words) == 3 {
			e.State = words[2]
		}
	}
}

// conffile parses "PATH DIGEST", optionally followed by flags. A path can contain blanks.
func (e *Entry) conffile(line string) error {
	words := strings.Split(line, " ")
	obsolete := false
	for len(words) > 2 && (words[len(words)-1] == "obsolete" || words[len(words)-1] == "remove-on-upgrade") {
		obsolete = true
		words = words[:len(words)-1]
	}
	if len(words) < 2 || !strings.HasPrefix(words[0], "/") {
		return fmt.Errorf("%.60q is not the path of a configuration file followed by its digest", line)
	}
	if len(e.Conffiles)+len(e.Obsolete) >= maxConffiles {
		return fmt.Errorf("more than %d configuration files", maxConffiles)
	}
	path := strings.Join(words[:len(words)-1], " ")
	if obsolete {
		e.Obsolete = append(e.Obsolete, path)
	} else {
		e.Conffiles = append(e.Conffiles, path)
	}
	return nil
}

// describe fills in the remaining fields of an entry's package, unless the package was removed and
// only its configuration files are left.
func (e *Entry) describe(p *assign.Package) {
	if e.State == stateRemoved {
		return
	}
	p.Type, p.Version, p.Arch, p.SourceVersion = "deb", e.Version, e.Arch, e.sourceVersion
	if e.Source != e.Name {
		p.Source = e.Source
	}
}

// IsTruncated reports whether the entry has no end and lacks fields that every entry must contain.
func (e *Entry) IsTruncated() bool {
	return !e.closed && (len(e.Faults) > 0 || e.Name == "" || e.Version == "" || e.State == "")
}

// errCut means that a file is truncated.
var errCut = errors.New("is truncated")

// readEntries reads status, and then the files in status.d in the order of their names.
func (l *loader) readEntries(ctx context.Context) error {
	if err := l.checkFormat(ctx); err != nil {
		return err
	}
	if l.db.status != "" {
		if err := l.readStatus(ctx); err != nil {
			return err
		}
	}
	for _, file := range l.db.entries {
		if err := l.readStatusD(ctx, file); err != nil {
			return err
		}
	}
	slices.SortStableFunc(l.entries, func(a, b *Entry) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (l *loader) readStatus(ctx context.Context) error {
	return l.lines.Read(ctx, l.db.root, l.db.status, func(text *pkgdb.Lines) error {
		var last *Entry
		err := ParseEntries(text, func(e *Entry) {
			last = e
			l.add(e, l.db.status)
		})
		if err == nil && last != nil && last.IsTruncated() {
			return fmt.Errorf("line %d: package %q: %w", text.Number(), last.Name, errCut)
		}
		if err == nil && last != nil && len(l.known) == 0 {
			return errors.New("has no package")
		}
		if err == nil && last != nil && !last.closed {
			l.out.Warn("reading %q: no empty line after package %q: the file may be truncated", l.db.status, last.Name)
		}
		return err
	})
}

// readStatusD reads a file in status.d. The file can also be a file that accompanies an entry, such
// as NAME.md5sums.
func (l *loader) readStatusD(ctx context.Context, file string) error {
	for _, kind := range append([]string{".list"}, shipped...) {
		if strings.HasSuffix(file, kind) {
			return nil
		}
	}
	path, found, err := pkgdb.Resolve(l.db.root, format.Join(l.db.statusD, file))
	if err != nil || !found {
		return err
	}
	if _, _, isDir, err := pkgdb.Dir(l.db.root, path); err != nil || isDir {
		return err
	}
	return l.lines.Read(ctx, l.db.root, path, func(text *pkgdb.Lines) error {
		return ParseEntries(text, func(e *Entry) {
			e.file = file
			if e.status == "" {
				e.State = stateInstalled
			}
			l.add(e, path)
		})
	})
}

// add adds an entry, with warnings about its faults.
func (l *loader) add(e *Entry, path string) {
	for _, f := range e.Faults {
		l.out.Warn("reading %q: line %d: package %q: %s", path, f.line, e.Name, f.What)
	}
	if err := pkgdb.CheckName(e.Name); err != nil {
		l.out.Warn("reading %q: line %d: skipping an entry: Package: %v", path, e.Line, err)
		return
	}
	if err := pkgdb.CheckName(e.Source); err != nil {
		l.out.Warn("reading %q: line %d: package %q: Source: %v", path, e.Line, e.Name, err)
		e.Source = e.Name
	}
	if strings.Contains(e.Arch, "/") {
		e.Arch = ""
	}
	l.known[e.Name] = true
	if e.State == "" {
		l.out.Warn("reading %q: line %d: package %q has no complete Status field: treating it as installed", path, e.Line, e.Name)
		e.State = stateInstalled
	}
	if slices.Contains(unfinished, e.State) {
		l.unfinished = append(l.unfinished, e.Name)
	}
	if e.State != stateAbsent {
		l.entries = append(l.entries, e)
	}
}
