package patch

import (
	"slices"

	"chunkah/format"
)

// state is the view of a set of kept layers, compared with the root.
type state struct {
	x *index
	// live is the number of visible bytes per layer. needed reports whether the new image uses
	// anything from the layer.
	live   []int64
	needed []bool
	write  []int
	gone   []string
	// components contains the components with files to write. otherWork is set if anything else has
	// to be written, such as directories, files without a component, or whiteouts.
	components map[string]bool
	otherWork  bool
}

// flat contains the kept layers while they are flattened. It is used again for the next set of kept
// layers.
type flat struct {
	views   []view  // by path
	covered []bool  // by path: everything below it is replaced or deleted
	seen    []int32 // by inode: number of visible names
}

func newFlat(x *index) flat {
	return flat{views: make([]view, len(x.paths)), covered: make([]bool, len(x.paths)), seen: make([]int32, len(x.inodes))}
}

// compareKept flattens the kept layers and compares the result with the root.
func (x *index) compareKept(keep []bool) *state {
	s := &state{x: x, live: make([]int64, len(keep)), needed: make([]bool, len(keep)), components: make(map[string]bool)}
	clear(x.flat.seen)
	for i := range x.paths {
		x.flat.views[i] = s.flatten(i, keep)
	}
	for i := range x.paths {
		s.compare(i, x.flat.views[i])
	}
	return s
}

// view describes what a set of layers shows at one path.
type view struct {
	// shown is the visible entry, -1 if nothing is visible.
	shown int32
	// hider is the entry that hides a deleted path or the earlier contents of a directory, -1 if no
	// entry does.
	hider int32
	// base is the lowest of the entries that set the visible attributes of a directory.
	base int32
	// inside is the lowest layer whose files are visible below the path.
	inside int32
}

// visible applies, from the bottom up, the kept layers with lowest <= index < limit, and returns
// what they show at a path. lowest is the parent directory's view.inside.
func (x *index) visible(path int, lowest, limit int32, keep []bool) view {
	at := &x.paths[path]
	v := view{shown: -1, hider: -1, base: -1, inside: lowest}
	for i := at.first; i < at.last; i++ {
		if n := x.entries[i].layer; lowest <= n && n < limit && keep[n] {
			x.apply(&v, i)
		}
	}
	return v
}

// apply puts an entry on top of what a path shows.
func (x *index) apply(v *view, top int32) {
	e := &x.entries[top]
	var lower *entry // the entry that was visible so far
	if v.shown >= 0 {
		lower = &x.entries[v.shown]
	}
	switch e.kind {
	case format.TypeWhiteout:
		if lower != nil {
			v.hider = top
		}
		v.shown, v.inside = -1, e.layer
	case format.TypeDir: // the files of lower layers stay visible in the directory
		if lower == nil || !lower.same || lower.kind != format.TypeDir {
			v.base = top
		}
		v.shown = top
	case typeImplied, typeOpaque: // a directory of a lower layer keeps its attributes
		if lower == nil || !lower.isDirectory() {
			v.shown = top
		}
		if e.kind == typeOpaque {
			v.inside = e.layer
		}
	default: // a file hides a whole directory of lower layers
		v.shown, v.hider, v.inside = top, -1, e.layer
	}
}

// flatten returns what the kept layers show at a path. The caller must process parents first.
func (s *state) flatten(path int, keep []bool) view {
	lowest := int32(0)
	if parent := s.x.paths[path].parent; parent >= 0 {
		lowest = s.x.flat.views[parent].inside
	}
	v := s.x.visible(path, lowest, int32(len(keep)), keep)
	if v.shown >= 0 {
		e := &s.x.entries[v.shown]
		if e.inode >= 0 {
			s.x.flat.seen[e.inode]++
		}
		if e.same && e.kind == format.TypeDir {
			s.needed[s.x.entries[v.base].layer] = true
		}
	}
	return v
}

// compare compares the visible entry of a path with the root's record.
func (s *state) compare(i int, v view) {
	at, shown := &s.x.paths[i], v.shown
	covered := at.parent >= 0 && s.x.flat.covered[at.parent]
	s.compareHider(at, v, covered)
	if at.root < 0 {
		s.x.flat.covered[i] = true
		if shown >= 0 && !covered {
			s.gone = append(s.gone, at.path)
			s.otherWork = true
		}
		return
	}
	now := s.x.root[at.root]
	s.x.flat.covered[i] = now.Type != format.TypeDir
	if shown >= 0 {
		e := &s.x.entries[shown]
		if e.same && (e.inode < 0 || s.x.flat.seen[e.inode] == s.x.inodes[e.inode].names) {
			if now.Type != format.TypeDir {
				s.live[e.layer] += e.bytes
				s.needed[e.layer] = true
			}
			return
		}
	}
	s.write = append(s.write, int(at.root))
	if now.Type == format.TypeDir || len(now.Components) == 0 {
		s.otherWork = true
		return
	}
	s.components[now.Components[0]] = true
}

// compareHider counts an entry that hides something, unless new layers hide the same files with a
// file or a whiteout at this path or above. If it did not count the entry, the next image would not
// keep the layer.
func (s *state) compareHider(at *pathEntries, v view, covered bool) {
	isDir := at.root >= 0 && s.x.root[at.root].Type == format.TypeDir
	isGone := at.root < 0 && v.shown < 0
	if v.hider >= 0 && !covered && (isDir || isGone) {
		e := &s.x.entries[v.hider]
		s.needed[e.layer] = true
		s.live[e.layer] += e.bytes
	}
}

// stale returns the number of stale bytes in the kept layers.
func (s *state) stale(x *index, keep []bool) (n int64) {
	for i, kept := range keep {
		if kept {
			n += x.bytes[i] - s.live[i]
		}
	}
	return n
}

// stalest returns the kept layer with the most stale bytes per live byte. If several layers are
// equal, it returns the lowest.
func (s *state) stalest(x *index, keep []bool) int {
	best := -1
	for i, kept := range keep {
		if !kept || x.bytes[i] == s.live[i] {
			continue
		}
		if best < 0 || less(uint64(x.bytes[best]-s.live[best]), uint64(s.live[i]), uint64(x.bytes[i]-s.live[i]), uint64(s.live[best])) {
			best = i
		}
	}
	return best
}

// cheapest returns the kept layer that is cheapest for clients to dissolve. If several layers are
// equal, it returns the lowest. The cost is the layer's live bytes plus a share of the kept layers
// above it, whose chains change. The chains above an already dissolved layer have changed anyway
// and cost nothing.
func (s *state) cheapest(x *index, keep []bool) int {
	whole := slices.Index(keep, false)
	if whole < 0 {
		whole = len(keep)
	}
	best, least, above := -1, int64(0), int64(0)
	for i, kept := range slices.Backward(keep) {
		if !kept {
			continue
		}
		if cost := s.live[i] + above/chainShare; best < 0 || cost <= least {
			best, least = i, cost
		}
		if i < whole {
			above += x.bytes[i]
		}
	}
	return best
}

// room returns how many layers to reserve for everything that has to be written.
func (s *state) room(most int) int {
	need := len(s.components)
	if s.otherWork && need == 0 {
		need = 1
	}
	return min(need, max(leastRoom, most/roomShare))
}
