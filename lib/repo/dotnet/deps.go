package dotnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/repo/places"
)

const (
	// maxDeps is the largest size of a deps.json, in bytes. The deps.json of a self-contained
	// application is about 50 kB.
	maxDeps = 16 << 20
	// maxNeeds is the largest number of packages that one package can need.
	maxNeeds = 1024
	// packPrefix precedes the name of a runtime in a self-contained application.
	packPrefix = "runtimepack."
)

// library is a package or a project listed in an application's deps.json.
type library struct {
	places.Member
	isOwn   bool
	version string
	files   []string // relative to the application's directory
}

// parse reads a deps.json and returns the packages of its target, sorted by name.
func parse(raw []byte) ([]*library, error) {
	type asset struct{ Locale string }
	type target struct {
		Dependencies   map[string]json.RawMessage
		Runtime        map[string]asset
		Native         map[string]asset
		RuntimeTargets map[string]asset
		Resources      map[string]asset
	}
	var deps struct {
		RuntimeTarget json.RawMessage
		Targets       map[string]map[string]target
		Libraries     map[string]struct{ Type string }
	}
	if err := json.Unmarshal(raw, &deps); err != nil {
		return nil, fmt.Errorf("is not a list of dependencies: %w", err)
	}
	name, err := targetName(deps.RuntimeTarget)
	if err != nil {
		return nil, err
	}
	targets, found := deps.Targets[name]
	if !found {
		return nil, fmt.Errorf("has no target %.100q", name)
	}
	byName := make(map[string]int)
	var libraries []*library
	keys := slices.Sorted(maps.Keys(targets))
	for _, key := range keys {
		name, version, _ := strings.Cut(key, "/")
		name = strings.TrimPrefix(name, packPrefix)
		if !places.IsName(name) || len(targets[key].Dependencies) > maxNeeds {
			return nil, fmt.Errorf("%.100q is not a package with at most %d dependencies", key, maxNeeds)
		}
		byName[name] = len(libraries)
		lib := &library{Member: places.Member{Name: name, Inside: -1}, version: format.Text(version), isOwn: deps.Libraries[key].Type == "project"}
		for _, assets := range []map[string]asset{targets[key].Runtime, targets[key].Native} {
			for path := range assets {
				lib.files = append(lib.files, format.Base(path))
			}
		}
		for path := range targets[key].RuntimeTargets {
			lib.files = append(lib.files, path)
		}
		for path, a := range targets[key].Resources {
			lib.files = append(lib.files, a.Locale+"/"+format.Base(path))
		}
		slices.Sort(lib.files)
		libraries = append(libraries, lib)
	}
	for i, key := range keys {
		for _, name := range slices.Sorted(maps.Keys(targets[key].Dependencies)) {
			if need, found := byName[strings.TrimPrefix(name, packPrefix)]; found {
				libraries[i].Needs = append(libraries[i].Needs, need)
			}
		}
	}
	return libraries, nil
}

// targetName returns the name of the target that an application was published for. raw is the name
// itself or an object that contains it.
func targetName(raw json.RawMessage) (name string, err error) {
	var object struct{ Name string }
	if json.Unmarshal(raw, &object) == nil {
		name = object.Name
	} else if json.Unmarshal(raw, &name) != nil {
		return "", errors.New("does not contain the name of its target")
	}
	return name, nil
}
