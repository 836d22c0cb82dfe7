package patch

import (
	"cmp"
	"slices"

	"chunkah/format"
)

// Shadow is the part of a layer that upper layers hide.
type Shadow struct {
	// Bytes is the size of the layer's entries without directories. Stale is the size of the hidden
	// entries. The contents of an inode are hidden if all its names are hidden.
	Bytes, Stale int64
	// HiddenBy maps each upper layer to the number of bytes that it hides.
	HiddenBy map[int]int64
	// Removed lists, in order, regular files whose contents the image no longer shows at any path,
	// and whose path is no longer a regular file. Their contents can still be read from the layer.
	Removed []*format.File
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

// Types of marks: entries that have no record but hide files in lower layers.
const (
	typeImplied format.Type = "implied" // a directory that exists only because it contains files
	typeOpaque  format.Type = "opaque"
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
		x: x, layers: layers, keep: keep, shown: make([]int32, len(x.slots)),
		used: make(map[int32]bool), groups: make([]bool, len(x.groups)),
	}
	return s.find()
}

// withMarks returns the files of a layer together with its marks.
func withMarks(l Layer) []*format.File {
	files, dirs := slices.Clip(l.Files), make(map[string]bool)
	for _, path := range l.Opaque {
		files = append(files, &format.File{Path: path, Type: typeOpaque})
		dirs[path] = true
	}
	for _, f := range l.Files {
		if f.Type == format.TypeDir {
			dirs[f.Path] = true
		}
	}
	for _, f := range files {
		if f.Type == format.TypeWhiteout {
			continue // needs no implied parent
		}
		for path := f.Path; path != "/"; {
			if path = format.Parent(path); dirs[path] {
				break
			}
			files = append(files, &format.File{Path: path, Type: typeImplied})
			dirs[path] = true
		}
	}
	if len(files) > len(l.Files) {
		slices.SortStableFunc(files, func(a, b *format.File) int {
			return cmp.Or(format.ComparePaths(a.Path, b.Path), rank(a)-rank(b))
		})
	}
	return files
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
	shown  []int32 // by slot: the visible entry, -1 if nothing is visible
	// used contains the entries whose contents are visible, at their own path or through a hard
	// link in another layer. groups contains the groups with a visible name.
	used   map[int32]bool
	groups []bool
}

func (s *shadows) find() []Shadow {
	list := make([]Shadow, len(s.layers))
	for i := range list {
		list[i] = Shadow{Bytes: s.x.bytes[i], HiddenBy: make(map[int]int64)}
	}
	below := make([]int32, len(s.x.slots))
	for i := range s.x.slots {
		floor := int32(0)
		if p := s.x.slots[i].parent; p >= 0 {
			floor = below[p]
		}
		v := s.x.visible(i, floor, int32(len(s.layers)), s.keep)
		s.shown[i], below[i] = v.shown, v.below
	}
	for i, j := range s.shown {
		if j < 0 {
			continue
		}
		if at := s.inode(i, j); at >= 0 {
			s.used[at] = true
			if g := s.x.entries[at].group; g >= 0 {
				s.groups[g] = true
			}
		}
	}
	for i := range s.x.slots {
		for j := s.x.slots[i].first; j < s.x.slots[i].last; j++ {
			if e := &s.x.entries[j]; j != s.shown[i] && !isDirectory(e.file) && e.file.Type != format.TypeWhiteout {
				s.hidden(&list[e.layer], i, j)
			}
		}
	}
	return list
}

// hidden counts an entry that is not visible at its path.
func (s *shadows) hidden(to *Shadow, slot int, at int32) {
	e := &s.x.entries[at]
	inode := s.inode(slot, at)
	used := inode >= 0 && (s.used[inode] || s.x.entries[inode].group >= 0 && s.groups[s.x.entries[inode].group])
	if !used || inode != at || !e.first {
		to.Stale += e.bytes
		to.HiddenBy[s.hider(slot, at)] += e.bytes
	}
	shown := s.shown[slot]
	isFile := shown >= 0 && s.x.entries[shown].file.Type == format.TypeFile
	if !used && !isFile && inode >= 0 && s.x.entries[inode].file.Size > 0 {
		to.Removed = append(to.Removed, e.file)
	}
}

// inode returns the entry that contains the contents of an entry. For a hard link to a file in
// another layer this is that file's entry, or -1 if the file does not exist.
func (s *shadows) inode(slot int, at int32) int32 {
	layer, path := s.x.entries[at].layer, s.x.slots[slot].path
	for range len(s.x.slots) { // hard links to hard links
		target, linked := s.layers[layer].Links[path]
		if !linked {
			return at
		}
		if path = target; s.layers[layer].Links[path] != "" {
			continue
		}
		if at = s.visibleBelow(path, layer); at < 0 {
			return -1
		}
		layer = s.x.entries[at].layer
	}
	return -1
}

// visibleBelow returns the entry that is visible at a path if only the layers below the given one
// are used, or -1.
func (s *shadows) visibleBelow(path string, layer int32) int32 {
	i, found := slices.BinarySearchFunc(s.x.slots, path, func(at slot, path string) int { return format.ComparePaths(at.path, path) })
	if !found {
		return -1
	}
	return s.x.visible(i, s.floor(i, layer), layer, s.keep).shown
}

// floor returns the lowest layer whose files are visible at a path if only the layers below the
// given one are used.
func (s *shadows) floor(slot int, layer int32) int32 {
	p := s.x.slots[slot].parent
	if p < 0 {
		return 0
	}
	return s.x.visible(int(p), s.floor(int(p), layer), layer, s.keep).below
}

// hider returns the lowest layer that hides an entry.
func (s *shadows) hider(slot int, at int32) int {
	layer, by := s.x.entries[at].layer, int32(len(s.layers))
	if at+1 < s.x.slots[slot].last {
		by = s.x.entries[at+1].layer
	}
	for p := s.x.slots[slot].parent; p >= 0; p = s.x.slots[p].parent {
		for j := s.x.slots[p].first; j < s.x.slots[p].last; j++ {
			e := &s.x.entries[j]
			if e.layer > layer && e.layer < by && (e.file.Type == typeOpaque || !isDirectory(e.file)) {
				by = e.layer
			}
		}
	}
	return int(by)
}

// isDirectory reports whether an entry is a directory or implies one.
func isDirectory(f *format.File) bool {
	return f.Type == format.TypeDir || f.Type == typeImplied || f.Type == typeOpaque
}
