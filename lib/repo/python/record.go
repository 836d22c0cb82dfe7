package python

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	// maxList is the largest size of a file list, in bytes. The longest lists are 4 MB, in
	// distributions with about 30,000 files.
	maxList = 16 << 20
	// maxLine is the longest line in a file list, in bytes. A line contains a path, a digest and a
	// size.
	maxLine = 8 << 10
	// maxDamaged is the largest number of faulty lines reported per list.
	maxDamaged = 3
)

// listRecord claims the files in the RECORD of a dist-info.
func (l *loader) listRecord(d *dist, p *assign.Package) error {
	raw, found, err := l.read(d, "RECORD")
	if err != nil {
		return err
	}
	if !found {
		l.out.Warn("%q contains no RECORD: only the files of its modules are found for distribution %q", d.info, d.name)
		return l.listModules(d, p)
	}
	return l.claimList(d, p, "RECORD", raw, func(line []byte) (string, error) {
		path, err := recordPath(line)
		return resolve(d.site, path), err
	})
}

// read reads a file in the record's directory. found is false if the file is missing or too large.
func (l *loader) read(d *dist, name string) (raw []byte, found bool, err error) {
	i, found := l.tree.Lookup(format.Join(d.info, name))
	if !found {
		return nil, false, nil
	}
	raw, fault, err := places.ReadRecord(l.tree, i, maxList)
	if fault != nil {
		l.out.Warn("distribution %q: %v", d.name, fault)
	}
	return raw, fault == nil && err == nil, err
}

// claimList claims the paths in the lines of a list and skips empty lines. A line that parse
// refuses causes a warning.
func (l *loader) claimList(d *dist, p *assign.Package, name string, raw []byte, parse func(line []byte) (path string, err error)) error {
	damaged := 0
	for number, line := range lines(raw) {
		path, err := "", error(nil)
		if len(line) > maxLine {
			err = fmt.Errorf("is longer than %d bytes", maxLine)
		} else if len(line) > 0 {
			path, err = parse(line)
		}
		if err == nil {
			if path != "" {
				err = l.claimPath(p, path)
			}
			if err != nil {
				return err
			}
			continue
		}
		if damaged++; damaged <= maxDamaged {
			l.out.Warn("distribution %q: line %d of %q: %v", d.name, number, format.Join(d.info, name), err)
		}
	}
	if more := damaged - maxDamaged; more > 0 {
		l.out.Warn("distribution %q: %q has %d more such lines", d.name, format.Join(d.info, name), more)
	}
	return nil
}

// lines yields the lines of a file with their numbers, without newlines.
func lines(raw []byte) func(yield func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		for number := 1; len(raw) > 0; number++ {
			line, rest, _ := bytes.Cut(raw, []byte{'\n'})
			if !yield(number, bytes.TrimSuffix(line, []byte{'\r'})) {
				return
			}
			raw = rest
		}
	}
}

var (
	errFields = errors.New("does not have the three fields path, digest and size")
	errQuotes = errors.New("has a quote that is not closed, or closed too early")
	errPath   = errors.New("has no path")
)

// recordPath returns the path in a line of a RECORD. The values are separated by commas. The path
// can be in double quotes, and two double quotes inside it represent one. Digest and size cannot be
// quoted. A name that contains a newline is invalid.
func recordPath(line []byte) (string, error) {
	path, rest, err := firstField(string(line))
	switch {
	case err != nil:
		return "", err
	case strings.Count(rest, ",") != 2:
		return "", errFields
	case strings.Contains(rest, `"`):
		return "", errQuotes
	}
	return path, checkPath(path)
}

// firstField returns the first value in a line, and the rest of the line.
func firstField(line string) (value, rest string, err error) {
	if !strings.HasPrefix(line, `"`) {
		cut := strings.IndexByte(line, ',')
		if cut < 0 {
			return "", "", errFields
		}
		return line[:cut], line[cut:], nil
	}
	for at := 1; at < len(line); at++ {
		if line[at] != '"' {
			continue
		}
		if at+1 < len(line) && line[at+1] == '"' {
			at++
			continue
		}
		rest = line[at+1:]
		if !strings.HasPrefix(rest, ",") {
			return "", "", errQuotes
		}
		return strings.ReplaceAll(line[1:at], `""`, `"`), rest, nil
	}
	return "", "", errQuotes
}

func checkPath(path string) error {
	if path == "" || strings.IndexByte(path, 0) >= 0 {
		return errPath
	}
	return nil
}

// resolve returns a listed path relative to the root. It keeps "..", "." and links, because only
// the tree can resolve them.
func resolve(dir, path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return format.Join(dir, path)
}
