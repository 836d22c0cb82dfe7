// Package history restores components of a source image that chunkah made: its history lists the
// components of each layer.
//
// Most components are found again in the image's files and databases. Others are not: xattrs with
// component names are usually not in the image, and the path map or assigner of that build may not
// be available.
package history

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// Repo implements assign.Repo.
type Repo struct {
	// LayerOf returns the record of the layer that has a path, nil if it is unknown or the tree is
	// not from an image.
	LayerOf func(path string) *format.Layer
	// ByPeople lists the repos whose component names are chosen by users.
	ByPeople []string
}

// Name implements assign.Repo.
func (*Repo) Name() string { return "history" }

// Load claims files for the components of their layers. If the only component of a layer was named
// by users, it claims the layer's files before any package, as in that build. Other files are
// claimed last: present databases take precedence over the history.
func (r *Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	if r.LayerOf == nil {
		return nil, nil
	}
	l := loader{Repo: r, tree: t, byName: make(map[string]*assign.Package)}
	known := make(map[*format.Layer]string) // empty for layers whose files are claimed last
	result := &assign.Result{}
	for i, f := range t.Files {
		layer := l.layer(i, f)
		if layer == nil {
			continue
		}
		name, met := known[layer]
		if !met {
			if list := r.named(layer); len(list) == 1 && len(layer.Components) == 1 {
				name = list[0]
			}
			known[layer] = name
		}
		if name != "" {
			result.Claims = append(result.Claims, assign.Claim{File: i, Package: l.component(name, layer)})
		}
	}
	if len(known) == 0 {
		return nil, nil
	}
	result.Packages = slices.Collect(maps.Values(l.byName))
	// A fallback of a fallback comes after the fallbacks of all other repos.
	result.Fallback = func(context.Context) (*assign.Result, error) {
		return &assign.Result{Fallback: l.last}, nil
	}
	return result, nil
}

// named returns the components of a layer that users named.
func (r *Repo) named(layer *format.Layer) []string {
	var list []string
	for _, c := range layer.Components {
		name := whole(c)
		prefix, _, _ := strings.Cut(name, "/")
		if slices.Contains(r.ByPeople, prefix) && valid(name) {
			list = append(list, name)
		}
	}
	return list
}

// partSuffix matches the end of the name of a component's part (format/SPEC.md, section 8).
var partSuffix = regexp.MustCompile(`#[0-9a-f]{8}#*$`)

// whole returns a component's name without the suffix of a part.
func whole(component string) string { return partSuffix.ReplaceAllString(component, "") }

// valid reports whether a name from an image is a valid component name.
func valid(name string) bool {
	return name != "" && len(name) <= format.MaxText && format.Text(name) == name
}

// loader finds the components of files by their layers.
type loader struct {
	*Repo

	tree   *assign.Tree
	byName map[string]*assign.Package
}

// layer returns the layer of record i. It is nil if the layer is unknown, or if the file needs no
// component from here: a directory is in the layers of its files.
func (l *loader) layer(i int, f *format.File) *format.Layer {
	if l.tree.Claimed(i) || f.Type == format.TypeDir {
		return nil
	}
	return l.LayerOf(f.Path)
}

// last claims the files that no other repo has claimed: for the only component of their layer, or
// for the only one that users named, if all others were found.
func (l *loader) last(context.Context) (*assign.Result, error) {
	found := make(map[string]bool)
	for _, f := range l.tree.Files {
		for _, c := range f.Components {
			found[c] = true
		}
	}
	r := &assign.Result{}
	known := make(map[*format.Layer]string)
	for i, f := range l.tree.Files {
		layer := l.layer(i, f)
		if layer == nil {
			continue
		}
		name, met := known[layer]
		if !met {
			name = l.remaining(layer, found)
			known[layer] = name
		}
		if name != "" {
			r.Claims = append(r.Claims, assign.Claim{File: i, Package: l.component(name, layer)})
		}
	}
	return r, nil
}

// remaining returns the component of a layer's unclaimed files. It is empty if there are several
// candidates, or if the files had no component in that build either.
func (r *Repo) remaining(layer *format.Layer, found map[string]bool) string {
	list := layer.Components
	if len(list) > 1 {
		list = r.named(layer)
	}
	if len(list) != 1 {
		return ""
	}
	only := whole(list[0])
	if only == format.EmptyDirectories || strings.HasPrefix(only, format.Unclaimed) || !valid(only) {
		return ""
	}
	for _, c := range layer.Components {
		if name := whole(c); name != only && !found[name] {
			return ""
		}
	}
	return only
}

// component returns the component with a name in a layer.
func (l *loader) component(name string, layer *format.Layer) *assign.Package {
	p := l.byName[name]
	if p == nil {
		p = &assign.Package{Component: &format.Component{Name: name}}
		if len(layer.Components) == 1 {
			p.Component.IntervalDays = interval(layer.StabilityPPM)
		}
		l.byName[name] = p
	}
	return p
}

// maxInterval is the longest interval between updates, in days: a century.
const maxInterval = 36525

// interval returns the days between updates from the chance that a layer stays unchanged for a
// week, in parts per million; 0 if that is unknown. The chance of an update per day is one in the
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
