// Package pathmap is the component repo of path maps: JSON files that map paths to components, or
// components to paths, as build systems such as BuildStream write them.
//
// # Forms
//
// A map is an object whose keys are paths or component names, or a list:
//
//	{"/usr/bin/bash": "bash",
//	 "/usr/lib/modules/**": {"component": "kernel", "interval": "weekly"}}
//	{"bash": ["usr/bin/bash", "/etc/bash*"],
//	 "kernel": {"files": ["/usr/lib/modules"], "interval": 7}}
//	[{"prefix": "/usr/share/fonts", "component": "fonts", "interval": "monthly"}]
//
// A key is a path if it begins with a slash. In other places, the leading slash of a path is
// optional. Instead of "files", an object can use "paths", "path" or "prefix", with one path or a
// list of paths. Anything else is an error that names the entry. A component can have an interval,
// in days or as a word (daily, weekly, biweekly, monthly, quarterly, yearly). Several entries for
// one component can set its interval if all of them set the same interval.
//
// A component name with a slash is used as it is, so that files can join a component of another
// repo ("rpm/bash"). Any other name becomes the component "map/NAME".
//
// # Matching
//
// A path matches the file with exactly that path, even if it contains pattern characters. Links in
// its parents are followed inside the tree. If there is no such file, the path is a pattern: "*"
// matches any part of a name, "?" matches one character, "[a-z]" matches one of these characters,
// and "[!a-z]" matches one character other than these. "**", if it is a whole name, matches any
// number of names. A leading dot is not special. There is no escape character, but "[*]" matches a
// star, and a "[" that is not closed matches itself. A directory also matches everything below it.
//
// If several entries match a file, the most specific one is used: first an entry that names the
// file itself without a pattern, then the entry with the most names that are not patterns, then the
// entry with the most names, then the last entry.
//
// An entry that matches nothing in the tree causes a warning, because a map may have been written
// by hand, or for a tree that has since changed.
package pathmap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

const (
	repoName = "map"
	// maxData is the largest size of a map, in bytes. It allows about a million paths.
	maxData = 256 << 20
	// maxEffort limits the work for patterns and directories. It allows a thousand patterns for a
	// million files, which takes a few seconds.
	maxEffort = 1 << 30
	// maxListed is the largest number of paths listed in a warning. maxWarnings is the largest
	// number of components with their own warning.
	maxListed, maxWarnings = 10, 100
)

// Repo is the map repo. New creates it.
type Repo struct {
	file       string
	components []component
	entries    []entry
}

// component is a component of the map.
type component struct {
	name     string
	interval int64  // in days, 0 for unknown
	setBy    string // the entry that sets the interval
}

// entry is one path of the map.
type entry struct {
	path      string // begins with a slash
	component int
}

// New parses a map. name is the file name used in messages.
func New(name string, data []byte) (*Repo, error) {
	if len(data) > maxData {
		return nil, fmt.Errorf("reading map %q: is larger than %d bytes", name, maxData)
	}
	p := &parser{repo: &Repo{file: name}, index: make(map[string]int)}
	if err := p.parse(data); err != nil {
		return nil, fmt.Errorf("reading map %q: %w", name, err)
	}
	return p.repo, nil
}

// Name implements assign.Repo.
func (*Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (r *Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	m := newMatcher(t)
	missed := make([][]string, len(r.components))
	total := make([]int, len(r.components))
	for i, e := range r.entries {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		total[e.component]++
		matched, err := m.match(i, e.path)
		if err != nil {
			return nil, fmt.Errorf("map %q: %w", r.file, err)
		}
		if !matched {
			missed[e.component] = append(missed[e.component], e.path)
		}
	}
	result := &assign.Result{Warnings: r.warnings(missed, total)}
	for i, c := range r.components {
		p := &assign.Package{Component: &format.Component{Name: c.name, IntervalDays: c.interval}}
		result.Packages = append(result.Packages, p)
		if c.interval != 0 {
			known := assign.KnownInterval{Component: c.name, Days: c.interval}
			if total[i] == 0 {
				known.Absent = fmt.Sprintf("map %q: component %q, which has an interval, is not in the tree", r.file, c.name)
			}
			result.Known = append(result.Known, known)
		}
	}
	for file, best := range m.best {
		if best.entry >= 0 {
			p := result.Packages[r.entries[best.entry].component]
			result.Claims = append(result.Claims, assign.Claim{File: file, Package: p})
		}
	}
	var err error
	result.Follows, err = assign.FollowLinks(t, result.Claims)
	return result, err
}

// warnings lists the paths that match nothing, with one line per component.
func (r *Repo) warnings(missed [][]string, total []int) (warnings []string) {
	suppressed := 0
	for i, paths := range missed {
		switch {
		case len(paths) == 0:
			continue
		case len(warnings) == maxWarnings:
			suppressed++
			continue
		}
		warnings = append(warnings, fmt.Sprintf("map %q: component %q: %d of %d paths match nothing: %s",
			r.file, r.components[i].name, len(paths), total[i], listed(paths)))
	}
	if suppressed > 0 {
		warnings = append(warnings, fmt.Sprintf("map %q: %d more components have paths that match nothing", r.file, suppressed))
	}
	return warnings
}

func listed(paths []string) string {
	var b strings.Builder
	for i, path := range paths {
		if i == maxListed {
			fmt.Fprintf(&b, " and %d more", len(paths)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", path)
	}
	return b.String()
}

var errEffort = errors.New("has too many patterns and directories for a tree of this size")
