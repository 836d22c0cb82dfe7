package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/layer"
)

// A layer with a size limit is split where a hash of names is lowest, not where the sum of sizes
// reaches the limit. So if a file is added, is removed or grows, only the cuts next to the file
// move. A run of files that is too large is split before the file whose path has the lowest hash.
// Each side is split again while it is too large.

// leastShare limits how small a part can be: if possible, neither side of a cut is smaller than
// 1/leastShare of the largest allowed part.
const leastShare = 8

// unit is a set of files that stays in one layer: a file with all its hard links, or the files of
// several components.
type unit struct {
	files   []int // indexes into tree.files
	members []int // for components: indexes into tree.components
	hash    uint64
	size    int64 // without the directories above its files
}

// hashOf determines where to cut. It must never change, and outsiders must not be able to choose
// its values.
func hashOf(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])
}

// cutter splits runs of units into parts that fit.
type cutter struct {
	t     *tree
	marks *marks
	turn  int // number of sections of marks used so far
	most  int64
}

func newCutter(t *tree, most int64) *cutter { return &cutter{t: t, marks: newMarks(t), most: most} }

// size returns the total tar size of the units, in bytes. When the work limit is reached, it
// returns 0, so that everything appears to fit and planning ends.
func (c *cutter) size(units []unit) int64 {
	c.turn++
	n := layer.Size(nil)
	for _, u := range units {
		if !c.t.effort.take(1, c.t.files[u.files[0]].Path) {
			return 0
		}
		c.marks.climb(u.files, c.turn, lookCost, func(i int) { n += c.t.sizes[i] })
	}
	return n
}

// cut splits a run into parts. A part is larger than allowed only if it is a single unit.
func (c *cutter) cut(units []unit) (parts [][]unit) {
	rest := make([]unit, 0, len(units))
	for _, u := range units {
		if c.size([]unit{u}) > c.most {
			parts = append(parts, []unit{u})
		} else {
			rest = append(rest, u)
		}
	}
	todo := [][]unit{rest}
	for len(todo) > 0 {
		run := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch {
		case len(run) == 0:
		case c.size(run) <= c.most:
			parts = append(parts, run)
		default:
			at := c.boundary(run)
			todo = append(todo, run[:at], run[at:])
		}
	}
	return parts
}

// boundary returns where to split a run: before the unit with the lowest hash. If possible, it
// chooses only among units that leave enough on both sides.
func (c *cutter) boundary(run []unit) int {
	total, before := int64(0), int64(0)
	for _, u := range run {
		total += u.size
	}
	best, any := 0, 1
	for i := 1; i < len(run); i++ {
		before += run[i-1].size
		if run[i].hash < run[any].hash {
			any = i
		}
		if min(before, total-before) >= c.most/leastShare && (best == 0 || run[i].hash < run[best].hash) {
			best = i
		}
	}
	if best == 0 {
		return any
	}
	return best
}

// Oversized is a file that is larger than the layer limit.
type Oversized struct {
	Path  string
	Bytes int64 // size of the layer that contains the file
}

// split replaces each component that does not fit into a layer with its parts. A part is a
// component with its own fingerprint and newest time.
func (t *tree) split(most int64) (oversized []Oversized) {
	c := newCutter(t, most)
	var whole []*component
	for _, comp := range t.components {
		units := t.units(comp)
		if c.size(units) <= most {
			whole = append(whole, comp)
			continue
		}
		parts := c.cut(units)
		if len(parts) == 1 { // a single file
			whole = append(whole, comp)
		}
		for _, units := range parts {
			if n := c.size(units); n > most {
				oversized = append(oversized, Oversized{t.files[units[0].files[0]].Path, n})
			}
			if len(parts) > 1 {
				whole = append(whole, t.part(comp, units))
			}
		}
	}
	t.components = whole
	slices.SortFunc(t.components, func(a, b *component) int { return strings.Compare(a.record.Name, b.record.Name) })
	slices.SortFunc(oversized, func(a, b Oversized) int { return format.ComparePaths(a.Path, b.Path) })
	return oversized
}

// units returns the files of a component as units. All hard links to an inode form one unit, in the
// position of the first.
func (t *tree) units(c *component) []unit {
	units := make([]unit, 0, len(c.files))
	at := make(map[int64]int)
	for _, i := range c.files {
		f := t.files[i]
		if n, known := at[f.Hardlink]; known {
			units[n].files = append(units[n].files, i)
			units[n].size += t.sizes[i]
			continue
		}
		if f.Hardlink != 0 {
			at[f.Hardlink] = len(units)
		}
		units = append(units, unit{files: []int{i}, hash: hashOf(f.Path), size: t.sizes[i]})
	}
	return units
}

// part makes a component out of some units. Its name is derived from its first path, so it stays
// the same as long as that cut does (format/SPEC.md, section 8).
func (t *tree) part(of *component, units []unit) *component {
	name := fmt.Sprintf("%s#%08x", of.record.Name, units[0].hash>>32)
	for t.byName[name] != nil {
		name += "#" // the name is already used
	}
	rec := *of.record
	rec.Name, rec.Fingerprint = name, ""
	p := &component{record: &rec}
	for _, u := range units {
		p.files = append(p.files, u.files...)
		p.size += u.size
	}
	slices.Sort(p.files)
	for _, i := range p.files {
		f := t.files[i]
		t.effort.take(nameCost*int64(len(f.Components)), f.Path)
		f.Components = slices.Clone(f.Components) // other records can share the slice
		f.Components[slices.Index(f.Components, of.record.Name)] = name
		slices.Sort(f.Components)
	}
	rec.HasMtimeClamp = false
	p.clamp = t.componentClamp(p)
	if p.bounded = of.record.HasMtimeClamp; !p.bounded {
		t.boundTimes(p)
	}
	delete(t.byName, of.record.Name)
	t.byName[name] = p
	return p
}
