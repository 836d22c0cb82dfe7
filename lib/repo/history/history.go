// Package history keeps components of a source image that chunkah made: the history of
// such an image lists the components of each layer.
//
// Most components are found again in the files and databases of the image. Others are
// not: the xattrs that named them are usually not in the image, and the map or assigner
// of that build may not be available.
package history

import (
	"context"
	"regexp"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// Repo implements assign.Repo.
type Repo struct {
	// LayerOf returns the record of the layer that a path comes from, nil if that is
	// not known. It is nil if the tree does not come from an image.
	LayerOf func(path string) *format.Layer
}

// Name implements assign.Repo.
func (*Repo) Name() string { return "history" }

// Load claims files for the components of their layers. If the only component of a layer
// was named by people, its files go to that one before any package claims them, as in that
// build. Other files are left to all other repos first: a database of today takes
// precedence over the history.
func (r *Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	if r.LayerOf == nil {
		return nil, nil
	}
	l := loader{tree: t, result: &assign.Result{}, byName: make(map[string]int)}
	known := make(map[*format.Layer]string) // empty for layers whose files come last
	for i, f := range t.Files {
		if t.Claimed(i) || f.Type == format.TypeDir {
			continue // a directory is in the layers of its files
		}
		layer := r.LayerOf(f.Path)
		if layer == nil {
			continue
		}
		name, met := known[layer]
		if !met {
			if list := named(layer); len(list) == 1 && len(layer.Components) == 1 {
				name = list[0]
			}
			known[layer] = name
		}
		if name == "" {
			l.left = append(l.left, leftover{i, layer})
			continue
		}
		l.result.Claims = append(l.result.Claims, assign.Claim{File: i, Component: l.component(name, layer)})
	}
	if len(known) == 0 {
		return nil, nil
	}
	l.result.Packages = len(l.byName)
	l.result.Last = l.last
	return l.result, nil
}

// byPeople are the prefixes of components that people have named.
var byPeople = map[string]bool{"xattr": true, "map": true}

// unclaimed is the prefix of components of files that no repo claims.
const unclaimed = "chunkah"

// named returns the components of a layer that people have named.
func named(layer *format.Layer) []string {
	var list []string
	for _, c := range layer.Components {
		if name, prefix := split(c); byPeople[prefix] && valid(name) {
			list = append(list, name)
		}
	}
	return list
}

// partSuffix ends the names of parts of a component (format/SPEC.md, section 8).
var partSuffix = regexp.MustCompile(`#[0-9a-f]{8}#*$`)

// split returns the name of a component, without the suffix of a part, and the prefix
// that says who found it.
func split(component string) (name, prefix string) {
	name = partSuffix.ReplaceAllString(component, "")
	prefix, _, _ = strings.Cut(name, "/")
	return name, prefix
}

// valid reports whether a name from an image can be that of a component.
func valid(name string) bool {
	return name != "" && len(name) <= format.MaxText && format.Text(name) == name
}

// loader collects what Load finds.
type loader struct {
	tree   *assign.Tree
	result *assign.Result
	byName map[string]int
	left   []leftover
}

// leftover is a file, by its index, that all other repos can claim first, and its layer.
type leftover struct {
	file  int
	layer *format.Layer
}

// last claims the files that no other repo has claimed: for the only component of their
// layer, or for the only one that people have named if all others have been found again.
func (l *loader) last(context.Context) ([]assign.Claim, error) {
	found := make(map[string]bool)
	for _, f := range l.tree.Files {
		for _, c := range f.Components {
			found[c] = true
		}
	}
	var claims []assign.Claim
	known := make(map[*format.Layer]string)
	for _, w := range l.left {
		if l.tree.Claimed(w.file) {
			continue
		}
		name, met := known[w.layer]
		if !met {
			name = remaining(w.layer, found)
			known[w.layer] = name
		}
		if name != "" {
			claims = append(claims, assign.Claim{File: w.file, Component: l.component(name, w.layer)})
		}
	}
	return claims, nil
}

// remaining returns the component of a layer's files that no repo has claimed. It is empty
// if they can be of several components, or were not claimed in that build either.
func remaining(layer *format.Layer, found map[string]bool) string {
	list := layer.Components
	if len(list) > 1 {
		list = named(layer)
	}
	if len(list) != 1 {
		return ""
	}
	only, prefix := split(list[0])
	if prefix == unclaimed || !valid(only) {
		return ""
	}
	for _, c := range layer.Components {
		if name, _ := split(c); name != only && !found[name] {
			return ""
		}
	}
	return only
}

// component returns the index of a component that is in a layer.
func (l *loader) component(name string, layer *format.Layer) int {
	i, known := l.byName[name]
	if !known {
		i = len(l.byName)
		l.byName[name] = i
		c := &format.Component{Name: name}
		if len(layer.Components) == 1 {
			c.IntervalDays = interval(layer.StabilityPPM)
		}
		l.result.Components = append(l.result.Components, c)
	}
	return i
}

// maxInterval is the longest interval between updates, in days: a century.
const maxInterval = 36525

// interval returns the days between updates of a component from its chance to stay for a
// week, in parts per million; 0 if that is unknown. Each day has a chance of one in the
// interval.
func interval(stay int64) int64 {
	if stay <= 0 {
		return 0
	}
	// Chances are rounded to whole millionths.
	least, most := int64(1), int64(maxInterval)
	for least < most {
		days := (least + most) / 2
		if day := 1 - 1/float64(days); day*day*day*day*day*day*day*1e6 >= float64(stay)-0.5 {
			most = days
		} else {
			least = days + 1
		}
	}
	return least
}
