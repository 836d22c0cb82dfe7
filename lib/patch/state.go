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
	// components are the components with files to write. otherWork is set if anything else has to
	// be written: directories, files without a component, or whiteouts.
	components map[string]bool
	otherWork  bool

	below   []int32 // by slot: the lowest layer whose files are visible below it
	covered []bool  // by slot: everything below it is replaced or deleted
	seen    []int32 // by group: number of visible names
}

// compareKept flattens the kept layers and compares the result with the root.
func (x *index) compareKept(keep []bool) *state {
	s := &state{
		x: x, live: make([]int64, len(keep)), needed: make([]bool, len(keep)), components: make(map[string]bool),
		below: make([]int32, len(x.slots)), covered: make([]bool, len(x.slots)), seen: make([]int32, len(x.groups)),
	}
	views := make([]view, len(x.slots))
	for i := range x.slots {
		views[i] = s.flatten(i, keep)
	}
	for i := range x.slots {
		s.compare(i, views[i])
	}
	return s
}

// view describes what a set of layers shows at a path.
type view struct {
	shown int32 // the visible entry, -1 if nothing is visible
	// hider is the entry that hides a deleted path or the contents of a directory; -1 if no entry
	// does. base is the lowest of the entries that set the attributes of a directory.
	hider, base int32
	below       int32 // the lowest layer whose files are visible below the path
}

// visible returns what the kept layers with floor <= index < limit show at a path.
func (x *index) visible(i int, floor, limit int32, keep []bool) view {
	at := &x.slots[i]
	v := view{-1, -1, -1, floor}
	for j := at.first; j < at.last; j++ {
		e := &x.entries[j]
		if e.layer < floor || e.layer >= limit || !keep[e.layer] {
			continue
		}
		switch e.file.Type {
		case format.TypeWhiteout:
			if v.shown >= 0 {
				v.hider = j
			}
			v.shown, v.below = -1, e.layer
		case format.TypeDir:
			if v.shown < 0 || !x.entries[v.shown].same || x.entries[v.shown].file.Type != format.TypeDir {
				v.base = j
			}
			v.shown = j
		case typeImplied, typeOpaque:
			if v.shown < 0 || !isDirectory(x.entries[v.shown].file) {
				v.shown = j
			}
			if e.file.Type == typeOpaque {
				v.below = e.layer
			}
		default:
			v.shown, v.hider, v.below = j, -1, e.layer
		}
	}
	return v
}

// flatten returns the result of the kept layers at a path. Call it for parents first.
func (s *state) flatten(i int, keep []bool) view {
	floor := int32(0)
	if parent := s.x.slots[i].parent; parent >= 0 {
		floor = s.below[parent]
	}
	v := s.x.visible(i, floor, int32(len(keep)), keep)
	s.below[i] = v.below
	if v.shown >= 0 {
		e := &s.x.entries[v.shown]
		if e.group >= 0 {
			s.seen[e.group]++
		}
		if e.same && e.file.Type == format.TypeDir {
			s.needed[s.x.entries[v.base].layer] = true
		}
	}
	return v
}

// compare compares the visible entry of a path with the root's record.
func (s *state) compare(i int, v view) {
	at, shown := &s.x.slots[i], v.shown
	covered := at.parent >= 0 && s.covered[at.parent]
	s.compareHider(at, v, covered)
	if at.root < 0 {
		s.covered[i] = true
		if shown >= 0 && !covered {
			s.gone = append(s.gone, at.path)
			s.otherWork = true
		}
		return
	}
	now := s.x.root[at.root]
	s.covered[i] = now.Type != format.TypeDir
	if shown >= 0 {
		e := &s.x.entries[shown]
		if e.same && (e.group < 0 || s.seen[e.group] == s.x.groups[e.group].names) {
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

// compareHider counts the entry that hides something, unless new layers hide the same: with a file
// or a whiteout at this path or above. Otherwise the next image would not keep it.
func (s *state) compareHider(at *slot, v view, covered bool) {
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

// stalest returns the kept layer with the most stale bytes per live byte. Of equal layers it
// returns the lowest.
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

// cheapest returns the kept layer that is cheapest for clients to dissolve. Of equal layers it
// returns the lowest. The cost is the layer's live bytes plus a share of the kept layers above it,
// whose chains change. The chains above an already dissolved layer have changed anyway and cost
// nothing.
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
