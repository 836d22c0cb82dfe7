// Package history restores the components of a source image that chunkah made. The image's history
// lists the components of each layer.
//
// Other repos find most of these components again, in the image's files and databases. They cannot
// find the rest, because the image usually does not contain xattrs with component names, and the
// path map or assigner of the original build may not be available.
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
	// LayerOf returns the record of the layer that contains a path. It returns nil if the layer is
	// unknown. LayerOf is nil if the tree is not from an image.
	LayerOf func(path string) *format.Layer
	// ByPeople lists the repos whose component names are chosen by users.
	ByPeople []string
}

// Name implements assign.Repo.
func (*Repo) Name() string { return "history" }

// Load claims files for the components of their layers. If a layer has only one component and users
// named it, that component claims the layer's files before any package, as in the original build.
// Other files are claimed last, because package databases in the tree take precedence over the
// history.
func (r *Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	if r.LayerOf == nil {
		return nil, nil
	}
	l := loader{Repo: r, tree: t, byName: make(map[string]*assign.Package)}
	known := make(map[*format.Layer]string) // component names; empty for layers whose files are claimed last
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
	// A fallback inside a fallback is applied after the fallbacks of all other repos.
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

// whole returns a component's name without a part suffix.
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

// layer returns the layer of record i. It is nil if the layer is unknown, if the file is already
// claimed, or if it is a directory. A directory needs no component, because it is written along
// with its files.
func (l *loader) layer(i int, f *format.File) *format.Layer {
	if l.tree.Claimed(i) || f.Type == format.TypeDir {
		return nil
	}
	return l.LayerOf(f.Path)
}

// last claims the files that no other repo has claimed. It claims them for the only component of
// their layer, or, if all other components were found, for the only component that users named.
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

// remaining returns the component of a layer's unclaimed files. It returns "" if there are several
// candidates, or if the files had no component in the original build.
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

// component returns the named component of a layer.
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

// interval computes the number of days between updates from stay, the chance that a layer stays
// unchanged for a week, in parts per million. It returns 0 if the chance is unknown. The daily
// chance of an update is 1/interval.
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
