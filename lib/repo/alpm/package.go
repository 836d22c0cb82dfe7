package alpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

const (
	// maxPaths is the largest number of paths in one package. It is several times the number of
	// paths in the largest known package.
	maxPaths = 512 << 10
)

// pkg is one package of the database.
type pkg struct {
	*assign.Package

	dir   string // physical path of its directory in the database
	name  string
	base  string
	built int64          // unix seconds, 0 for unknown
	about assign.Package // version, architecture and licence
}

// readPackage reads the package in one directory.
func (l *loader) readPackage(ctx context.Context, entry string) error {
	dir, names, isDir, err := pkgdb.Dir(l.tree.Root, format.Join(l.local, entry))
	if err != nil || !isDir {
		return err
	}
	l.out.Needs(dir, names...)
	p := &pkg{dir: dir}
	if slices.Contains(names, "desc") {
		if err := l.readDesc(ctx, p); err != nil {
			return err
		}
	} else {
		l.out.Warn("reading package %q: %q is missing", packageName(entry), format.Join(dir, "desc"))
	}
	if p.name == "" {
		p.name = packageName(entry)
	}
	if p.base == "" {
		p.base = p.name
	}
	if err := pkgdb.CheckName(p.base); err != nil {
		l.out.Warn("reading %q: skipping a package: %v", dir, err)
		return nil
	}
	p.Package = l.out.Add(p.name, p.base)
	p.describe()
	if p.built > 0 {
		l.out.Clamp(p.Package, p.built)
		l.out.Update(p.Package, p.built)
	}
	clear(l.types)
	if slices.Contains(names, "mtree") {
		if err := l.readMtree(ctx, p); err != nil {
			return err
		}
	}
	return l.claimFiles(ctx, p, slices.Contains(names, "files"))
}

// addLicense adds a licence. If a package lists several licences, all of them apply.
func (p *pkg) addLicense(name string) {
	if p.about.License != "" {
		name = p.about.License + " AND " + name
	}
	p.about.License = name[:min(len(name), assign.MaxListed)]
}

// describe fills in the remaining fields of the package.
func (p *pkg) describe() {
	p.Type, p.Version, p.Arch, p.License = "alpm", p.about.Version, p.about.Arch, p.about.License
	if p.base != p.name {
		p.Source = p.base
	}
}

// packageName returns NAME from a directory name of the form NAME-VERSION-RELEASE.
func packageName(entry string) string {
	name := entry
	for range 2 {
		cut := strings.LastIndexByte(name, '-')
		if cut <= 0 {
			return entry
		}
		name = name[:cut]
	}
	return name
}

// parseSections calls the function take for each line in a section. A line %NAME% opens a section,
// and an empty line closes it.
func parseSections(text *pkgdb.Lines, take func(section string, line []byte) error, warn func(number int, what string)) {
	section := ""
	for text.Next() {
		line := text.Text()
		what := text.Fault()
		switch {
		case what != "":
		case len(line) == 0:
			section = ""
		case section == "" && len(line) > 2 && line[0] == '%' && line[len(line)-1] == '%':
			section = string(line[:min(len(line), assign.MaxListed)])
		case section == "":
			what = fmt.Sprintf("%.60q is in no section", line)
		default:
			if err := take(section, line); err != nil {
				what = err.Error()
			}
		}
		if what != "" {
			warn(text.Number(), what)
		}
	}
}

// sections reads a file of sections.
func (l *loader) sections(ctx context.Context, p *pkg, file string, take func(section string, line []byte) error) error {
	path, found, err := pkgdb.File(l.tree.Root, format.Join(p.dir, file))
	if err != nil || !found {
		return err
	}
	return l.lines.Read(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		parseSections(text, take, func(number int, what string) {
			l.out.Warn("reading %q: line %d: package %q: %s", path, number, p.name, what)
		})
		if text.Err() == nil && !text.Ended() {
			l.out.Warn("reading %q: line %d has no end: the file may be truncated", path, text.Number())
		}
		return nil
	})
}

func (l *loader) readDesc(ctx context.Context, p *pkg) error {
	err := l.sections(ctx, p, "desc", func(section string, line []byte) error {
		value := string(line[:min(len(line), assign.MaxListed)])
		switch section {
		case "%NAME%":
			p.name = value
		case "%BASE%":
			p.base = value
		case "%VERSION%":
			p.about.Version = value
		case "%ARCH%":
			p.about.Arch = value
		case "%LICENSE%":
			p.addLicense(value)
		case "%BUILDDATE%":
			built, err := strconv.ParseInt(value, 10, 64)
			if err != nil || built < 0 || built > format.MaxInt {
				return fmt.Errorf("build date %.30q is not a number of seconds", value)
			}
			p.built = built
		}
		return nil
	})
	if err == nil && (p.name == "" || p.built == 0) {
		l.out.Warn("reading %q: package %q: is truncated: the name or the build date is missing", format.Join(p.dir, "desc"), p.name)
	}
	return err
}

// claimFiles claims the paths that the package lists.
func (l *loader) claimFiles(ctx context.Context, p *pkg, listed bool) error {
	clear(l.listed)
	if !listed && len(l.types) > 0 {
		l.out.Warn("reading package %q: %q is missing, so its mtree is used instead", p.name, format.Join(p.dir, "files"))
	}
	err := l.sections(ctx, p, "files", func(section string, line []byte) error {
		switch {
		case section != "%FILES%", !l.lines.Ended():
			return nil // a truncated path can belong to another package
		case len(line) > assign.MaxListed:
			return fmt.Errorf("path of %d bytes", len(line))
		case len(l.listed) >= maxPaths:
			return fmt.Errorf("more than %d paths", maxPaths)
		}
		path, isDir := strings.CutSuffix(string(line), "/")
		if path == "" {
			return errors.New("empty path")
		}
		kind := l.types[path]
		if kind == 0 && isDir {
			kind = 'd'
		}
		l.listed[path] = kind
		return nil
	})
	if err != nil {
		return err
	}
	var lost []string
	for path, kind := range l.types {
		if _, found := l.listed[path]; !found {
			lost = append(lost, path)
			l.listed[path] = kind
		}
	}
	for path, kind := range l.listed {
		if err := l.claim(p, path, kind); err != nil {
			return err
		}
	}
	if listed && len(lost) > 0 {
		slices.Sort(lost)
		l.out.Warn("reading %q: the list is truncated: package %q also has %s", format.Join(p.dir, "files"), p.name, pkgdb.List(lost))
	}
	return nil
}

// claim claims a path if a file of the given kind exists. The kind is 'd' for a directory, 'l' for
// a link, 'f' for a regular file, another letter for a device or pipe, and 0 for anything except a
// directory.
func (l *loader) claim(p *pkg, path string, kind byte) error {
	i, ok, err := l.tree.Find(path)
	if !ok {
		return err
	}
	t := l.tree.Files[i].Type
	switch kind {
	case 0:
		ok = t != format.TypeDir
	case 'd':
		ok = t == format.TypeDir
	case 'l':
		ok = t == format.TypeSymlink
	case 'f':
		ok = t == format.TypeFile
	default:
		ok = t != format.TypeDir && t != format.TypeSymlink && t != format.TypeFile
	}
	if ok {
		l.out.Claim(p.Package, i)
	}
	return nil
}

// readMtree reads the types of the package's files. A damaged mtree causes a warning.
func (l *loader) readMtree(ctx context.Context, p *pkg) error {
	path, found, err := pkgdb.File(l.tree.Root, format.Join(p.dir, "mtree"))
	if err != nil || !found {
		return err
	}
	err = l.lines.ReadGzip(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		return parseMtree(text, l.types)
	})
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		clear(l.types)
		l.out.Warn("package %q: %v: the types of its files are unknown", p.name, err)
	}
	return nil
}

// parseMtree reads the types of paths. Lines are "PATH KEY=VALUE…" and "/set KEY=VALUE…", which
// sets defaults for the following lines. Only the key type is used. Top-level paths that begin with
// a dot are the package's own metadata.
func parseMtree(text *pkgdb.Lines, types map[string]byte) error {
	set := byte('f')
	for text.Next() {
		if what := text.Fault(); what != "" {
			return fmt.Errorf("line %d: %s", text.Number(), what)
		}
		name, rest, _ := bytes.Cut(bytes.TrimSpace(text.Text()), []byte(" "))
		switch {
		case len(name) == 0 || name[0] == '#':
			continue
		case string(name) == "/set":
			if kind := mtreeType(rest); kind != 0 {
				set = kind
			}
			continue
		case name[0] == '/':
			continue // "/unset"
		case len(name) > assign.MaxListed:
			return fmt.Errorf("line %d: path of %d bytes", text.Number(), len(name))
		case len(types) >= maxPaths:
			return fmt.Errorf("line %d: more than %d paths", text.Number(), maxPaths)
		}
		path := strings.TrimPrefix(unescape(name), "./")
		if path == "." || path == "" || strings.HasPrefix(path, ".") && !strings.Contains(path, "/") {
			continue
		}
		kind := mtreeType(rest)
		if kind == 0 {
			kind = set
		}
		types[path] = kind
	}
	return text.Err()
}

// mtreeType returns the first letter of the type in keywords, or 0 if keywords contain no type.
func mtreeType(keywords []byte) byte {
	for word := range bytes.FieldsSeq(keywords) {
		if kind, ok := bytes.CutPrefix(word, []byte("type=")); ok && len(kind) > 0 {
			return kind[0]
		}
	}
	return 0
}

// unescape replaces each "\ooo" with the byte that has this octal value.
func unescape(name []byte) string {
	if bytes.IndexByte(name, '\\') < 0 {
		return string(name)
	}
	var out []byte
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) {
			if n, err := strconv.ParseUint(string(name[i+1:i+4]), 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, name[i])
	}
	return string(out)
}
