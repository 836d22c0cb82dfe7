package patch

import (
	"cmp"
	"slices"

	"chunkah/format"
	"chunkah/lib/filelist"
)

// Shadow is the part of a layer that upper layers hide.
type Shadow struct {
	// Bytes is the size of the layer's entries without directories. Stale is the size of the hidden
	// entries. The contents of an inode are hidden if all hard links to the inode are hidden.
	Bytes, Stale int64
	// HiddenBy maps each upper layer to the number of bytes that it hides.
	HiddenBy map[int]int64
	// Removed lists, in order, regular files whose contents the image no longer shows at any path,
	// and whose path is no longer a regular file. Their contents can still be read from the layer.
	Removed []Removed
}

// Removed is a regular file that can be read only from a layer.
type Removed struct {
	Path string
	Size int64 // in bytes; 0 for a hard link to a file in another layer
}

// StaleLayer describes a layer with hidden files in JSON output.
type StaleLayer struct {
	Layer int   `json:"layer"`
	Stale int64 `json:"stale_bytes"`
	// HiddenBy maps the index of each layer that hides files to the number of bytes hidden.
	HiddenBy map[int]int64 `json:"hidden_by"`
}

// StaleLayers returns the layers with hidden files.
func StaleLayers(shadows []Shadow) (list []StaleLayer) {
	for i, s := range shadows {
		if s.Stale > 0 {
			list = append(list, StaleLayer{i, s.Stale, s.HiddenBy})
		}
	}
	return list
}

// These are the types of marks, which are entries that have no record but hide files in lower
// layers.
const (
	typeImplied = format.TypeEnd + iota // a directory that exists only because it contains files
	typeOpaque
)

// Shadows finds the stale entries of an image's layers.
func Shadows(layers []Layer) []Shadow {
	marked := slices.Clone(layers)
	keep := make([]bool, len(layers))
	for i := range layers {
		keep[i], marked[i].Files = true, withMarks(layers[i])
	}
	x := newIndex(nil, marked, nil)
	s := &shadows{
		x: x, layers: layers, keep: keep, shown: make([]int32, len(x.paths)),
		used: make(map[int32]bool), inodes: make(map[int32]bool),
	}
	return s.find()
}

// withMarks returns the files of a layer together with its marks.
func withMarks(l Layer) filelist.List {
	files := slices.Collect(l.Files.Copies())
	dirs := make(map[string]bool)
	for _, path := range l.Opaque {
		files = append(files, &format.File{Path: path, Type: typeOpaque})
		dirs[path] = true
	}
	for _, f := range files {
		if f.Type == format.TypeDir {
			dirs[f.Path] = true
		}
	}
	for _, f := range files {
		if f.Type == format.TypeWhiteout {
			continue // this path needs no implied parent
		}
		for path := f.Path; path != "/"; {
			if path = format.Parent(path); dirs[path] {
				break
			}
			files = append(files, &format.File{Path: path, Type: typeImplied})
			dirs[path] = true
		}
	}
	if len(files) == l.Files.Len() {
		return l.Files
	}
	slices.SortStableFunc(files, func(a, b *format.File) int {
		return cmp.Or(format.ComparePaths(a.Path, b.Path), rank(a)-rank(b))
	})
	return filelist.Of(files...)
}

// rank orders a layer's entries at one path by their effect: whiteouts come first.
func rank(f *format.File) int {
	switch f.Type {
	case format.TypeWhiteout:
		return 0
	case typeOpaque:
		return 1
	default:
		return 2
	}
}

// shadows finds hidden entries.
type shadows struct {
	x      *index
	layers []Layer
	keep   []bool
	shown  []int32 // by path: the visible entry, -1 if nothing is visible
	// used contains the entries whose contents are visible, at their own path or through a hard
	// link in another layer. inodes contains the inodes with a visible name.
	used   map[int32]bool
	inodes map[int32]bool
}

func (s *shadows) find() []Shadow {
	list := make([]Shadow, len(s.layers))
	for i := range list {
		list[i] = Shadow{Bytes: s.x.bytes[i], HiddenBy: make(map[int]int64)}
	}
	s.findShown()
	for path, shown := range s.shown {
		if shown >= 0 {
			s.use(s.contents(path, shown))
		}
	}
	for path, at := range s.x.paths {
		for i := at.first; i < at.last; i++ {
			if e := &s.x.entries[i]; i != s.shown[path] && !e.isDirectory() && e.kind != format.TypeWhiteout {
				s.hidden(&list[e.layer], path, i)
			}
		}
	}
	return list
}

// findShown finds the visible entry of each path.
func (s *shadows) findShown() {
	inside := make([]int32, len(s.x.paths))
	for path := range s.x.paths {
		lowest := int32(0)
		if parent := s.x.paths[path].parent; parent >= 0 {
			lowest = inside[parent]
		}
		v := s.x.visible(path, lowest, int32(len(s.layers)), s.keep)
		s.shown[path], inside[path] = v.shown, v.inside
	}
}

// use marks the contents of an entry as visible. The entry can be -1.
func (s *shadows) use(entry int32) {
	if entry < 0 {
		return
	}
	s.used[entry] = true
	if n := s.x.entries[entry].inode; n >= 0 {
		s.inodes[n] = true
	}
}

// isUsed reports whether the contents of an entry are visible. The entry can be -1.
func (s *shadows) isUsed(entry int32) bool {
	return entry >= 0 && (s.used[entry] || s.inodes[s.x.entries[entry].inode])
}

// hidden counts an entry that is not visible at its path.
func (s *shadows) hidden(to *Shadow, path int, entry int32) {
	e := &s.x.entries[entry]
	contents := s.contents(path, entry)
	used := s.isUsed(contents)
	if !used || contents != entry || !e.first {
		to.Stale += e.bytes
		to.HiddenBy[s.hider(path, entry)] += e.bytes
	}
	shown := s.shown[path]
	isFile := shown >= 0 && s.x.entries[shown].kind == format.TypeFile
	if !used && !isFile && contents >= 0 && s.x.entries[contents].size > 0 {
		to.Removed = append(to.Removed, Removed{s.x.paths[path].path, e.size})
	}
}

// contents returns the index of the entry that has the contents of the given entry. This is the
// entry itself, unless it is a hard link to a file in another layer. contents returns -1 if that
// file does not exist.
func (s *shadows) contents(path int, entry int32) int32 {
	layer, name := s.x.entries[entry].layer, s.x.paths[path].path
	for range len(s.x.paths) { // a link can lead to another link, but not for ever
		target, linked := s.layers[layer].Links[name]
		if !linked {
			return entry
		}
		if name = target; s.layers[layer].Links[name] != "" {
			continue
		}
		if entry = s.visibleUnder(name, layer); entry < 0 {
			return -1
		}
		layer = s.x.entries[entry].layer
	}
	return -1
}

// visibleUnder returns the entry that the layers under the given one show at a path, or -1.
func (s *shadows) visibleUnder(name string, layer int32) int32 {
	path, found := slices.BinarySearchFunc(s.x.paths, name, func(at pathEntries, name string) int { return format.ComparePaths(at.path, name) })
	if !found {
		return -1
	}
	return s.viewUnder(path, layer).shown
}

// viewUnder returns what the layers under the given one show at a path.
func (s *shadows) viewUnder(path int, layer int32) view {
	lowest := int32(0)
	if parent := s.x.paths[path].parent; parent >= 0 {
		lowest = s.viewUnder(int(parent), layer).inside
	}
	return s.x.visible(path, lowest, layer, s.keep)
}

// hider returns the lowest layer that hides an entry.
func (s *shadows) hider(path int, entry int32) int {
	layer, by := s.x.entries[entry].layer, int32(len(s.layers))
	if entry+1 < s.x.paths[path].last {
		by = s.x.entries[entry+1].layer
	}
	for p := s.x.paths[path].parent; p >= 0; p = s.x.paths[p].parent {
		for i := s.x.paths[p].first; i < s.x.paths[p].last; i++ {
			e := &s.x.entries[i]
			if e.layer > layer && e.layer < by && (e.kind == typeOpaque || !e.isDirectory()) {
				by = e.layer
			}
		}
	}
	return int(by)
}

// isDirectory reports whether the entry is a directory or implies one.
func (e *entry) isDirectory() bool {
	return e.kind == format.TypeDir || e.kind == typeImplied || e.kind == typeOpaque
}
