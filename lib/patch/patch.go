// Package patch decides which layers of the previous image an image keeps, so that an update
// downloads only the files that changed.
//
// A kept layer is used byte for byte. New layers above it have the files that changed, and
// whiteouts for paths that are gone. Bytes of kept layers that upper layers hide, or that are not
// in the root, are stale. While too many are, the layer with the most stale bytes per live byte is
// dissolved: its live files go into new layers. It is what a log-structured merge tree does with
// its runs.
//
// The package is pure: records in, decisions out. docs/patch-layers.md has the idea and its costs.
package patch

import (
	"fmt"
	"math/bits"

	"chunkah/format"
	"chunkah/lib/layer"
)

// Layer is a layer of the previous image.
type Layer struct {
	// Files are the entries in order, as file records. A regular file without a digest counts as
	// changed.
	Files []*format.File
	// Fault is why the layer cannot be kept; empty if it can.
	Fault string
	// Opaque are the directories whose contents in lower layers the layer hides. Links are the
	// targets of hard links to files of other layers, by path; Files has these as empty files. Only
	// Shadows uses them: a layer that has any also has a fault.
	Opaque []string
	Links  map[string]string
}

// Options tune a plan.
type Options struct {
	// Max is the number of layers of the image.
	Max int
	// MaxStale bounds the stale bytes of the kept layers, in parts per million of the root's bytes.
	MaxStale int64
	// MaxLayerSize bounds the tar of a layer with several files, in bytes; 0 means no limit.
	MaxLayerSize int64
	// TimeFits reports whether an unchanged file can keep the time of its entry, as far as other
	// files depend on it. Nil means always.
	TimeFits func(now, was *format.File) bool
}

// Plan is the decision about an image.
type Plan struct {
	// Kept are the indexes of the kept layers, ascending.
	Kept []int
	// Write are the indexes of the root's records that new layers must have: changed and new files,
	// and directories whose own attributes are in no kept layer. Other parents are not listed.
	Write []int
	// Gone are the paths for which new layers need whiteouts, in order. Paths below them are not
	// listed.
	Gone []string
	// Fates describe what happens to each layer of the previous image.
	Fates []Fate
	// Bytes is the size of the root in tars, and Stale that of the kept layers' stale entries.
	Bytes, Stale int64
}

// Fate is what happens to a layer of the previous image.
type Fate struct {
	Reason Reason
	// Bytes is the size of its entries without directories, Stale the part of it that the new image
	// does not show.
	Bytes, Stale int64
	// Fault is the detail of Unusable.
	Fault string
}

// Reason says why a layer is kept or dissolved.
type Reason string

// The reasons.
const (
	Kept     Reason = "kept"
	Empty    Reason = "empty"     // nothing of it is visible any more
	Stale    Reason = "stale"     // the image had too many stale bytes
	Room     Reason = "room"      // new layers needed its place
	TooLarge Reason = "too large" // larger than MaxLayerSize
	Unusable Reason = "unusable"
)

const ppm = 1_000_000

// roomShare is the share of the layers that an update can need: a sixteenth, but leastRoom at
// least.
const (
	roomShare = 16
	leastRoom = 2
)

// chainShare says how much bytes count that clients which store by chain need again because a layer
// below is dissolved: a 32nd of bytes that all clients download. In replays of update histories, it
// costs all clients up to 1 %, and saves up to a quarter of the chains that change.
const chainShare = 32

// Make plans an image with these records, in order, on top of the previous image's layers.
func Make(root []*format.File, layers []Layer, opt Options) *Plan {
	x := newIndex(root, layers, opt.TimeFits)
	p := &Plan{Fates: make([]Fate, len(layers)), Bytes: x.rootBytes}
	keep := make([]bool, len(layers))
	for i := range layers {
		keep[i] = true
		switch fault := faultOf(layers[i]); {
		case fault != "":
			p.dissolve(keep, i, Unusable)
			p.Fates[i].Fault = fault
		case opt.MaxLayerSize > 0 && x.units[i] > 1 && layer.Size(layers[i].Files) > opt.MaxLayerSize:
			p.dissolve(keep, i, TooLarge)
		}
	}
	s := x.look(keep)
	for p.step(x, s, keep, opt) {
		s = x.look(keep)
	}
	p.finish(x, s, keep)
	return p
}

func (p *Plan) dissolve(keep []bool, i int, why Reason) {
	keep[i], p.Fates[i].Reason = false, why
}

// step dissolves a layer if the policy demands it. It reports whether it did.
func (p *Plan) step(x *index, s *state, keep []bool, opt Options) bool {
	any := false
	for i, kept := range keep {
		if kept && !s.needed[i] {
			p.dissolve(keep, i, Empty)
			any = true
		}
	}
	if any {
		return true
	}
	if exceeds(s.stale(x, keep), opt.MaxStale, x.rootBytes) {
		p.dissolve(keep, s.stalest(x, keep), Stale)
		return true
	}
	kept := 0
	for _, k := range keep {
		if k {
			kept++
		}
	}
	if kept > 0 && kept > opt.Max-s.room(opt.Max) {
		p.dissolve(keep, s.cheapest(x, keep), Room)
		return true
	}
	return false
}

// finish fills in the plan.
func (p *Plan) finish(x *index, s *state, keep []bool) {
	for i, kept := range keep {
		f := &p.Fates[i]
		f.Bytes, f.Stale = x.bytes[i], x.bytes[i]-s.live[i]
		if kept {
			f.Reason, p.Stale = Kept, p.Stale+f.Stale
			p.Kept = append(p.Kept, i)
		}
	}
	p.Write, p.Gone = s.write, s.gone
}

// exceeds reports whether stale bytes exceed a share of all bytes.
func exceeds(stale, share, all int64) bool {
	return less(uint64(share), uint64(all), uint64(stale), ppm)
}

// less reports whether a*b < c*d, without overflow.
func less(a, b, c, d uint64) bool {
	hi1, lo1 := bits.Mul64(a, b)
	hi2, lo2 := bits.Mul64(c, d)
	return hi1 < hi2 || hi1 == hi2 && lo1 < lo2
}

// faultOf returns why a layer cannot be kept. Clients disagree about the effect of entries whose
// parent directory is in another layer.
func faultOf(l Layer) string {
	if l.Fault != "" {
		return l.Fault
	}
	dirs := map[string]bool{"/": true}
	last := ""
	for _, f := range l.Files {
		switch {
		case last != "" && format.ComparePaths(last, f.Path) >= 0:
			return fmt.Sprintf("%q is not in order", f.Path)
		case f.Path != "/" && !dirs[format.Parent(f.Path)]:
			return fmt.Sprintf("the parent directory of %q is missing", f.Path)
		}
		last = f.Path
		if f.Type == format.TypeDir {
			dirs[f.Path] = true
		}
	}
	return ""
}
