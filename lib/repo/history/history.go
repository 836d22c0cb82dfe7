// Package history takes over components that the layers of a source image tell of: the
// history of an image that chunkah made has a record of each layer's components.
//
// Most components are found again in the files and databases of the image. Others are
// not: the xattrs that named them are in no image, and the map or assigner of that build
// may not be at hand.
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

// Load claims files for the components of their layers. A file of a layer of one
// component, which people have named, goes to that one before all packages, as it did in
// that build. Other files wait for all other repos: what is in a database now goes
// before what a history tells.
func (r *Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	if r.LayerOf == nil {
		return nil, nil
	}
	l := loader{tree: t, result: &assign.Result{}, byName: make(map[string]int)}
	known := make(map[*format.Layer]string) // empty for layers whose files wait
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
			l.left = append(l.left, waiting{i, layer})
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

// said are the prefixes of components that people have named.
var said = map[string]bool{"xattr": true, "map": true}

// leftovers is the prefix of components of files that nobody claims.
const leftovers = "chunkah"

// named returns the components of a layer that people have named.
func named(layer *format.Layer) []string {
	var list []string
	for _, c := range layer.Components {
		if name, prefix := split(c); said[prefix] && valid(name) {
			list = append(list, name)
		}
	}
	return list
}

// partSuffix ends the names of parts of a component (format/SPEC.md, section 8).
var partSuffix = regexp.MustCompile(`#[0-9a-f]{8}#*$`)

// split returns the name of a component, of which the given one may be a part, and the
// prefix that says who found it.
func split(component string) (name, prefix string) {
	name = partSuffix.ReplaceAllString(component, "")
	prefix, _, _ = strings.Cut(name, "/")
	return name, prefix
}

// valid tells whether a name, which an image may have from anywhere, can be a component's.
func valid(name string) bool {
	return name != "" && len(name) <= format.MaxText && format.Text(name) == name
}

// loader collects what Load finds.
type loader struct {
	tree   *assign.Tree
	result *assign.Result
	byName map[string]int
	left   []waiting
}

// waiting is a file, by its index, that other repos may claim, and its layer.
type waiting struct {
	file  int
	layer *format.Layer
}

// last claims what no other repo has claimed: for the only component of its layer, or for
// the only one that people have named if the files of all others have been found.
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

// remaining returns the component of the files of a layer that nobody has claimed: empty
// if they may be of several, or are those that nobody claimed then.
func remaining(layer *format.Layer, found map[string]bool) string {
	list := layer.Components
	if len(list) > 1 {
		list = named(layer)
	}
	if len(list) != 1 {
		return ""
	}
	only, prefix := split(list[0])
	if prefix == leftovers || !valid(only) {
		return ""
	}
	for _, c := range layer.Components {
		if name, _ := split(c); name != only && !found[name] {
			return ""
		}
	}
	return only
}

// component returns the number of a component that is in a layer.
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

// interval is the days between updates of a component that stays for a week with that
// chance, in parts per million; 0 for unknown. Each day has the chance of one in the
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
