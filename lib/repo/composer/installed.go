package composer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"chunkah/lib/repo/places"
)

const (
	// maxInstalled is the largest size of an installed.json, in bytes. A file that lists 300
	// packages is about 1 MB.
	maxInstalled = 32 << 20
	// maxManifest is the largest size of a composer.json, in bytes.
	maxManifest = 1 << 20
	// maxNeeds is the largest number of packages that one package can need.
	maxNeeds = 1024
)

// entry contains the fields of a package in installed.json that are used.
type entry struct {
	Name     string
	hasPath  bool     // the entry has a path, which can be empty
	path     string   // absolute or relative to vendor/composer
	needs    []string // names, sorted
	programs []string // paths
	version  string
	licenses []string // alternatives: any of them applies
	released time.Time
}

// parseInstalled reads an installed.json: an object with a list of packages, or the list
// itself (Composer 1).
func parseInstalled(raw []byte) ([]entry, error) {
	type listed struct {
		Name    string
		Version json.RawMessage
		License json.RawMessage
		Path    json.RawMessage `json:"install-path"`
		Require json.RawMessage
		Bin     json.RawMessage
		Time    json.RawMessage
	}
	var whole struct{ Packages []listed }
	if err := json.Unmarshal(raw, &whole); err != nil {
		if json.Unmarshal(raw, &whole.Packages) != nil {
			return nil, fmt.Errorf("is not a list of packages: %w", err)
		}
	}
	var entries []entry
	for _, p := range whole.Packages {
		e := entry{Name: p.Name, hasPath: p.Path != nil, programs: texts(p.Bin), licenses: texts(p.License)}
		if !isName(e.Name) {
			return nil, fmt.Errorf("%.60q is not the name of a package", e.Name)
		}
		if json.Unmarshal(p.Version, &e.version) != nil {
			e.version = ""
		}
		if e.hasPath && json.Unmarshal(p.Path, &e.path) != nil {
			return nil, fmt.Errorf("package %q: %.60q is not a path", e.Name, p.Path)
		}
		var released string
		if json.Unmarshal(p.Time, &released) == nil {
			e.released = places.ParseTime(released, time.RFC3339, time.DateTime)
		}
		var err error
		if e.needs, err = names(p.Require); err != nil {
			return nil, fmt.Errorf("package %q: %w", e.Name, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// parseAsked returns the packages that a composer.json requires.
func parseAsked(raw []byte) ([]string, error) {
	var manifest struct {
		Require json.RawMessage
		Dev     json.RawMessage `json:"require-dev"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil, errors.New("is not a JSON object")
	}
	asked, err := names(manifest.Require)
	if err != nil {
		return nil, err
	}
	dev, err := names(manifest.Dev)
	return append(asked, dev...), err
}

// names returns the package names that are the keys of an object. PHP writes an empty object as an
// empty list.
func names(raw json.RawMessage) ([]string, error) {
	var versions map[string]json.RawMessage
	if json.Unmarshal(raw, &versions) != nil {
		versions = nil
	}
	if len(versions) > maxNeeds {
		return nil, fmt.Errorf("needs more than %d packages", maxNeeds)
	}
	list := slices.Sorted(maps.Keys(versions))
	return slices.DeleteFunc(list, func(name string) bool { return !isName(name) }), nil
}

func texts(raw json.RawMessage) (list []string) {
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// isName reports whether a package can have this name: "vendor/name". Extensions and PHP
// itself have names without a slash.
func isName(name string) bool {
	vendor, rest, found := strings.Cut(name, "/")
	return found && places.IsName(vendor) && places.IsName(rest)
}
