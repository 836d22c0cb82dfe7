package reuse

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/inspect"
	"chunkah/lib/patch"
)

// comparison is the state of one call of Compare.
type comparison struct {
	old, new *inspect.Image
	// olds and news find the entries of both images. They are created on first use.
	olds, news *index
	// rewritten are the layers of the old image that the new image rewrote, by index, with reasons.
	rewritten map[int]patch.Reason
}

// findRewritten sets c.rewritten from the records in the new image.
func (c *comparison) findRewritten() {
	reasons, kept := map[string]patch.Reason{}, map[digest.Digest]bool{}
	for _, l := range c.new.Layers { // later layers are newer
		kept[l.DiffID] = true
		for _, r := range l.Rewritten {
			reasons[r.DiffID] = r.Reason
		}
	}
	c.rewritten = map[int]patch.Reason{}
	for i, l := range c.old.Layers {
		if reason, known := reasons[l.DiffID.String()]; known && !kept[l.DiffID] {
			c.rewritten[i] = reason
		}
	}
}

// whyRewritten returns why the files of an old layer are downloaded if the layer was rewritten.
// Otherwise the reason is empty.
func (c *comparison) whyRewritten(oldLayer int) (Reason, string) {
	reason, rewritten := c.rewritten[oldLayer]
	if !rewritten {
		return "", ""
	}
	text := fmt.Sprintf("layer %d of the old image was rewritten because %s", oldLayer, reason.Text())
	switch reason {
	case patch.Stale:
		return ReasonStale, text
	case patch.Room:
		return ReasonRoom, text
	}
	return ReasonRewritten, text
}

// parts returns the parts of a downloaded layer, with the reason for each. If the old image
// contains the layer's tar, same is the reason for the download. Otherwise, same is empty.
func (c *comparison) parts(layer int, same Reason) []Part {
	l := &c.new.Layers[layer]
	if !c.new.IsRead() || !c.old.IsRead() && same == "" {
		return c.byFingerprints(layer, same)
	}
	var t *tally
	if same != "" {
		t = count(l, func(*inspect.Entry) match { return match{known: true, same: true} })
	} else {
		if c.olds == nil {
			c.olds = newIndex(c.old)
		}
		t = count(l, c.olds.find)
	}
	parts := make([]Part, 0, len(t.shares))
	for _, s := range t.shares {
		p := Part{
			Layer: layer, State: s.state(), ChangedFiles: s.changedFiles, UnchangedFiles: s.sameFiles,
			Changed: new(scale(l.Descriptor.Size, s.changed, t.weight)), Unchanged: new(scale(l.Descriptor.Size, s.same, t.weight)),
		}
		if s.component != inspect.NoComponent {
			p.Component = c.new.Components[s.component]
		}
		if s.same > 0 {
			p.Reason, p.Why = c.why(layer, t, s, same)
		}
		parts = append(parts, p)
	}
	distribute(parts, l.Descriptor.Size)
	return parts
}

// distribute adds the rounding remainder to the first part, which is the largest. Then it sets the
// Download of each part.
func distribute(parts []Part, size int64) {
	for _, p := range parts {
		size -= *p.Changed + *p.Unchanged
	}
	for i := range parts {
		p := &parts[i]
		if i == 0 {
			if *p.Changed >= *p.Unchanged {
				*p.Changed += size
			} else {
				*p.Unchanged += size
			}
		}
		p.Download = new(*p.Changed + *p.Unchanged)
	}
}

// scale returns size * part / whole, rounded down; part is at most whole.
func scale(size, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(size), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole)) // hi is less than whole, because part is at most whole
	return int64(q)
}

// share is one component's part of a layer. Weights are sums of Entry.Weight.
type share struct {
	component               int32
	changed, same           int64
	changedFiles, sameFiles int64
	old                     bool // some of its paths were in the old image
	oldLayers               map[int]int64
}

// state returns what happened to the component, as far as this layer shows.
func (s *share) state() State {
	switch {
	case !s.old:
		return StateNew
	case s.changedFiles > 0:
		return StateChanged
	}
	return StateSame
}

// oldLayer returns the old layer that contained most of the share's unchanged entries.
func (s *share) oldLayer() int { return most(s.oldLayers) }

// most returns the key with the largest value. If several values are equal, it returns the lowest
// of their keys. If the map is empty, it returns none.
func most(weights map[int]int64) int {
	best := none
	for i, w := range weights {
		if best == none || w > weights[best] || w == weights[best] && i < best {
			best = i
		}
	}
	return best
}

// tally collects the data of one layer.
type tally struct {
	weight int64
	shares []*share // sorted by size, largest first
	times  int64    // entries that differ only in time, including directories
	// dirs is the number of directories whose metadata differs. dir is the first of them.
	dirs int64
	dir  string
	// oldLayer is the old layer that contained most of the layer's entries.
	oldLayer int
}

// count analyses a layer. Directories are in many layers and take hardly any space, so they are
// counted only if the layer contains nothing else.
func count(l *inspect.Layer, find func(*inspect.Entry) match) *tally {
	t := &tally{}
	byComponent := map[int32]*share{}
	onlyDirs := !slices.ContainsFunc(l.Entries, func(e inspect.Entry) bool { return !e.IsDir() })
	oldLayers := map[int]int64{}
	for i := range l.Entries {
		e := &l.Entries[i]
		m := find(e)
		if m.times {
			t.times++
		}
		if e.IsDir() && !m.same {
			if t.dirs++; t.dirs == 1 {
				t.dir = e.Path
			}
		}
		if e.IsDir() && !onlyDirs {
			continue
		}
		s := byComponent[e.Component]
		if s == nil {
			s = &share{component: e.Component, oldLayers: map[int]int64{}}
			byComponent[e.Component] = s
			t.shares = append(t.shares, s)
		}
		t.weight += e.Weight()
		s.add(e, m)
		if m.same {
			oldLayers[m.layer] += e.Weight()
		}
	}
	t.oldLayer = most(oldLayers)
	slices.SortStableFunc(t.shares, func(a, b *share) int { return cmp.Compare(b.changed+b.same, a.changed+a.same) })
	return t
}

// add counts one entry.
func (s *share) add(e *inspect.Entry, m match) {
	s.old = s.old || m.known
	if !m.same {
		s.changed += e.Weight()
		s.changedFiles++
		return
	}
	s.same += e.Weight()
	s.sameFiles++
	s.oldLayers[m.layer] += e.Weight()
}

// changedShares returns the changed components, sorted by the amount of changes with the largest
// first.
func (t *tally) changedShares() []*share {
	var list []*share
	for _, s := range t.shares {
		if s.changedFiles > 0 {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b *share) int { return cmp.Compare(b.changed, a.changed) })
	return list
}

// byFingerprints returns the parts for images whose files were not read.
func (c *comparison) byFingerprints(layer int, same Reason) []Part {
	l := &c.new.Layers[layer]
	if len(l.Components) == 0 {
		p := Part{Layer: layer, State: StateUnknown, Download: new(l.Descriptor.Size)}
		p.Reason, p.Why = ReasonUnread, "its files were not read"
		if same != "" {
			p.State, p.Reason, p.Why = StateSame, same, sameTexts[same]
		}
		return []Part{p}
	}
	was, in := c.fingerprints()
	var changed []string
	parts := make([]Part, len(l.Components))
	moved := false
	for i, name := range l.Components {
		p := &parts[i]
		p.Layer, p.Component, p.State = layer, name, StateUnknown
		before, known := was[name]
		switch {
		case same != "":
			p.State = StateSame
		case !known:
			p.State = StateNew
		case len(l.Fingerprints) == 0 || l.Fingerprints[i] == "" || before == "":
		case l.Fingerprints[i] == before:
			p.State = StateSame
		default:
			p.State = StateChanged
		}
		if p.State == StateNew || p.State == StateChanged {
			changed = append(changed, name)
		}
		moved = moved || known && in[name] != in[l.Components[0]]
		if len(l.Components) == 1 {
			p.Download = new(l.Descriptor.Size)
		}
	}
	for i := range parts {
		p := &parts[i]
		switch {
		case same != "":
			p.Reason, p.Why = same, sameTexts[same]
		case p.State != StateSame && p.State != StateUnknown:
		case c.wasRewritten(p, in):
		case len(changed) > 0:
			p.Reason, p.Why = ReasonNeighbour, neighbours(changed)
		case moved || c.others(in, l.Components):
			p.Reason, p.Why = ReasonGrouping, "other components shared its layer"
		default:
			p.Reason, p.Why = ReasonUnread, "its files were not read"
		}
	}
	return parts
}

// wasRewritten sets the reason of a part whose layer was rewritten. It reports whether it was.
func (c *comparison) wasRewritten(p *Part, in map[string]int) bool {
	oldLayer, known := in[p.Component]
	if !known {
		return false
	}
	p.Reason, p.Why = c.whyRewritten(oldLayer)
	return p.Reason != ""
}

// fingerprints returns the fingerprint and the layer of each component in the old image.
func (c *comparison) fingerprints() (was map[string]string, in map[string]int) {
	was, in = map[string]string{}, map[string]int{}
	for i, l := range c.old.Layers {
		for j, name := range l.Components {
			was[name], in[name] = "", i
			if len(l.Fingerprints) > 0 {
				was[name] = l.Fingerprints[j]
			}
		}
	}
	return was, in
}

// others reports whether the old layer of these components contained other components too.
func (c *comparison) others(in map[string]int, names []string) bool {
	i, known := in[names[0]]
	return known && len(c.old.Layers[i].Components) != len(names)
}

// neighbours describes the changed components of a layer.
func neighbours(names []string) string {
	switch n := len(names); n {
	case 1:
		return fmt.Sprintf("shares a layer with %s, which changed", names[0])
	default:
		return fmt.Sprintf("shares a layer with %s and %d more that changed", names[0], n-1)
	}
}
