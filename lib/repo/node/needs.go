package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	// maxManifest is the largest size of a package.json, in bytes. The longest files are about 100
	// kB.
	maxManifest = 1 << 20
	// maxNeeds is the largest number of packages that one package can need.
	maxNeeds = 1024
)

// readNeeds finds out from each package.json which packages that package needs. It skips packages
// that other repos have claimed.
func (l *loader) readNeeds(ctx context.Context) error {
	l.needs = make([][]string, len(l.packages))
	for i, p := range l.packages {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if p.Size == 0 && l.tree.Claimed(p.manifest) {
			continue
		}
		needs, said, err := l.read(p.manifest, p.Name, false)
		if err != nil {
			return err
		}
		l.needs[i], l.packages[i].said = needs, said
	}
	return nil
}

// about is the information in a package.json about its package.
type about struct{ Name, Version, License string }

// parseAbout parses the fields that exist. In old files, the licence can be an object.
func parseAbout(raw []byte) (a about) {
	var fields struct{ Name, Version, License json.RawMessage }
	if json.Unmarshal(raw, &fields) != nil {
		return a
	}
	for _, f := range []struct {
		raw json.RawMessage
		to  *string
	}{{fields.Name, &a.Name}, {fields.Version, &a.Version}, {fields.License, &a.License}} {
		if len(f.raw) > format.MaxName || json.Unmarshal(f.raw, f.to) != nil || assign.HasControl(*f.to) {
			*f.to = ""
		}
	}
	if !isName(a.Name) {
		a.Name = ""
	}
	return a
}

// read parses the package.json of a record. It returns the packages that are needed, and the
// information about the package itself.
func (l *loader) read(record int, name string, development bool) (needs []string, said about, err error) {
	if l.tree.Files[record].Type != format.TypeFile {
		return nil, said, nil // package.json is a link
	}
	needs, fault, err := places.Parse(l.tree, record, maxManifest, func(raw []byte) ([]string, error) {
		said = parseAbout(raw)
		return parseNeeds(raw, development)
	})
	if fault != nil {
		l.out.Warn("package %q: %v", name, fault)
	}
	return needs, said, err
}

// parseNeeds returns the names of the packages in a package.json, sorted. Old files contain lists
// and strings instead of objects. These values are ignored.
func parseNeeds(raw []byte, development bool) ([]string, error) {
	var manifest map[string]json.RawMessage
	if err := json.Unmarshal(raw, &manifest); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("line %d: %w", 1+strings.Count(string(raw[:min(syntax.Offset, int64(len(raw)))]), "\n"), err)
		}
		return nil, errors.New("is not a JSON object")
	}
	fields := []string{"dependencies", "optionalDependencies", "peerDependencies"}
	if development {
		fields = append(fields, "devDependencies")
	}
	var needs []string
	for _, field := range fields {
		var versions map[string]json.RawMessage
		if json.Unmarshal(manifest[field], &versions) != nil {
			continue
		}
		for name := range versions {
			if isName(name) {
				needs = append(needs, name)
			}
		}
	}
	slices.Sort(needs)
	needs = slices.Compact(needs)
	if len(needs) > maxNeeds {
		return nil, fmt.Errorf("needs more than %d packages", maxNeeds)
	}
	return needs, nil
}

// isName reports whether name is a valid directory name of a package.
func isName(name string) bool {
	if scope, rest, scoped := strings.Cut(name, "/"); scoped {
		return len(scope) > 1 && scope[0] == '@' && places.IsName(scope) && places.IsName(rest)
	}
	return places.IsName(name)
}

// resolve finds the package that code in a directory imports under a name. It looks in the
// node_modules of that directory, and then in those of the directories above it.
func (l *loader) resolve(dir, name string) (int, bool) {
	for {
		if l.has[dir] {
			path := format.Join(dir, modules+"/"+name)
			if i, found := l.byDir[path]; found {
				return i, true
			}
			if i, found := l.links[path]; found {
				return i, true
			}
		}
		if dir == "/" {
			return 0, false
		}
		dir = format.Parent(dir)
	}
}
