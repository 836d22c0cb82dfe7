// Package patch decides which layers of the previous image to keep, so that an update downloads
// only the files that changed.
//
// A kept layer is used byte for byte. New layers on top contain the files that changed, and
// whiteouts for deleted paths. Bytes of a kept layer are stale if upper layers hide them or the
// root no longer contains them. While there are too many stale bytes, the layer with the most stale
// bytes per live byte is dissolved, which means that its live files move into new layers. A
// log-structured merge tree handles its runs in the same way.
//
// The package does no input or output. docs/patch-layers.md describes the idea and its costs.
package patch

import (
	"fmt"
	"math/bits"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/layer"
)

// Layer is a layer of the previous image.
type Layer struct {
	// Files are the entries in order, as file records. A regular file without a digest is treated
	// as changed.
	Files filelist.List
	// Fault is the reason why the layer cannot be kept; empty if it can.
	Fault string
	// Opaque lists directories whose contents in lower layers this layer hides. Links maps the
	// paths of hard links to their targets in other layers. In Files, these hard links are empty
	// files. Only Shadows uses Opaque and Links. A layer with either of them also has a Fault.
	Opaque []string
	Links  map[string]string
}

// Options tune a plan.
type Options struct {
	// Max is the maximum number of layers in the image.
	Max int
	// MaxStale limits the stale bytes in kept layers, in parts per million of the root's bytes.
	MaxStale int64
	// MaxLayerSize limits the tar size of a layer with several files, in bytes; 0 means no limit.
	MaxLayerSize int64
	// TimeFits reports whether an unchanged file can keep the time of its entry although other
	// files can depend on that time. If TimeFits is nil, every unchanged file can keep its time.
	TimeFits func(now, was *format.File) bool
}

// Plan specifies which layers to keep and what to write.
type Plan struct {
	// Kept lists the indexes of the kept layers, in ascending order.
	Kept []int
	// Write lists the indexes of the root's records that new layers must contain: changed and new
	// files, and directories whose own attributes no kept layer contains. Other parent directories
	// are not listed.
	Write []int
	// Gone lists the paths that need whiteouts in new layers, in order. Paths below them are not
	// listed.
	Gone []string
	// Fates describes what happens to each layer of the previous image.
	Fates []Fate
	// Bytes is the tar size of the root. Stale is the tar size of stale entries in kept layers.
	Bytes, Stale int64
}

// Fate is what happens to a layer of the previous image.
type Fate struct {
	Reason Reason
	// Bytes is the size of the layer's entries without directories. Stale is the size of its stale
	// entries. For a layer that is not kept, Stale is the size at the time of that decision.
	Bytes, Stale int64
	// Fault explains the reason Unusable.
	Fault string
}

// Reason is the reason why a layer is kept or dissolved.
type Reason string

// These are the reasons why a layer is kept or dissolved.
const (
	Kept     Reason = "kept"
	Empty    Reason = "empty"     // none of the layer's files is visible any more
	Stale    Reason = "stale"     // the image contained too many stale bytes
	Room     Reason = "room"      // new layers needed the slot
	TooLarge Reason = "too large" // larger than MaxLayerSize
	Unusable Reason = "unusable"
)

// Rewritten is a layer of the previous image that was not kept although some of its files are still
// used.
type Rewritten struct {
	DiffID string `json:"diff_id"`
	Reason Reason `json:"reason"`
}

// RewrittenIn returns the rewritten layers that a layer's record lists. The record can be nil.
func RewrittenIn(rec *format.Layer) (list []Rewritten) {
	if rec == nil {
		return nil
	}
	for i, id := range rec.Rewritten {
		list = append(list, Rewritten{id, Reason(rec.Reasons[i])})
	}
	return list
}

// Text completes the sentence "the layer was rewritten because". A record in an image can contain
// any reason.
func (r Reason) Text() string {
	switch r {
	case Stale:
		return "its stale bytes exceeded the limit"
	case Room:
		return "new files needed a layer"
	case TooLarge:
		return "it was larger than the limit for layers"
	case Unusable:
		return "it could not be kept"
	}
	return string(r)
}

const ppm = 1_000_000

// An update can add up to 1/roomShare of the image's layers, but at least leastRoom layers.
const (
	roomShare = 16
	leastRoom = 2
)

// chainShare weights bytes that only some clients download again. Clients that store layers by
// chain must download all layers above a dissolved layer again. Such a byte counts as 1/32 of a
// byte that all clients download. In replayed update histories, this makes downloads up to 1 %
// larger and changes up to a quarter fewer chains.
const chainShare = 32

// Make plans an image that has these records and is built on the previous image's layers. The
// records must be in order.
func Make(root []*format.File, layers []Layer, opt Options) *Plan {
	x := newIndex(root, layers, opt.TimeFits)
	x.flat = newFlat(x)
	p := &Plan{Fates: make([]Fate, len(layers)), Bytes: x.rootBytes}
	keep := make([]bool, len(layers))
	for i := range keep {
		keep[i] = true
	}
	s := x.compareKept(keep)
	if p.refuse(x, s, keep, layers, opt.MaxLayerSize) {
		s = x.compareKept(keep)
	}
	for p.step(x, s, keep, opt) {
		s = x.compareKept(keep)
	}
	p.finish(x, s, keep)
	return p
}

func (p *Plan) dissolve(x *index, s *state, keep []bool, i int, why Reason) {
	keep[i] = false
	p.Fates[i] = Fate{Reason: why, Bytes: x.bytes[i], Stale: x.bytes[i] - s.live[i]}
}

// refuse dissolves the layers that cannot be kept. It reports whether there are any.
func (p *Plan) refuse(x *index, s *state, keep []bool, layers []Layer, most int64) (any bool) {
	for i := range layers {
		switch fault := faultOf(layers[i]); {
		case fault != "":
			p.dissolve(x, s, keep, i, Unusable)
			p.Fates[i].Fault = fault
		case most > 0 && x.units[i] > 1 && layer.SizeOf(layers[i].Files.All()) > most:
			p.dissolve(x, s, keep, i, TooLarge)
		default:
			continue
		}
		any = true
	}
	return any
}

// step dissolves one layer if the limits require it. It reports whether it did.
func (p *Plan) step(x *index, s *state, keep []bool, opt Options) bool {
	any := false
	for i, kept := range keep {
		if kept && !s.needed[i] {
			p.dissolve(x, s, keep, i, Empty)
			any = true
		}
	}
	if any {
		return true
	}
	if exceeds(s.stale(x, keep), opt.MaxStale, x.rootBytes) {
		p.dissolve(x, s, keep, s.stalest(x, keep), Stale)
		return true
	}
	kept := 0
	for _, k := range keep {
		if k {
			kept++
		}
	}
	if kept > 0 && kept > opt.Max-s.room(opt.Max) {
		p.dissolve(x, s, keep, s.cheapest(x, keep), Room)
		return true
	}
	return false
}

// finish fills in the result.
func (p *Plan) finish(x *index, s *state, keep []bool) {
	for i, kept := range keep {
		if kept {
			stale := x.bytes[i] - s.live[i]
			p.Fates[i] = Fate{Reason: Kept, Bytes: x.bytes[i], Stale: stale}
			p.Kept, p.Stale = append(p.Kept, i), p.Stale+stale
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

// faultOf returns the reason why a layer cannot be kept. Clients disagree about entries whose
// parent directory is in another layer.
func faultOf(l Layer) string {
	if l.Fault != "" {
		return l.Fault
	}
	dirs := map[string]bool{"/": true}
	last := ""
	for f := range l.Files.All() {
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
