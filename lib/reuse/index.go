package reuse

import "chunkah/lib/inspect"

// place identifies an entry: its layer, and its index there.
type place struct {
	layer uint16 // large enough for any number of layers
	entry uint32
	next  int32 // index of the next place of the same path in index.places, or none
}

const none = -1

// index finds the entries of a path in all layers of an image.
type index struct {
	of     *inspect.Image
	first  map[string]int32
	places []place
}

func newIndex(in *inspect.Image) *index {
	n := 0
	for _, l := range in.Layers {
		n += len(l.Entries)
	}
	x := &index{of: in, first: make(map[string]int32, n), places: make([]place, 0, n)}
	for i, l := range in.Layers {
		for j := range l.Entries {
			path := l.Entries[j].Path
			next, known := x.first[path]
			if !known {
				next = none
			}
			x.first[path] = int32(len(x.places)) // the image package limits the number of entries
			x.places = append(x.places, place{uint16(i), uint32(j), next})
		}
	}
	return x
}

// match describes the entry in an image that matches an entry of another image.
type match struct {
	known bool // the image contains the path
	same  bool // the content and the metadata except the time are the same
	times bool // the time differs
	layer int  // layer of the matching entry
}

// find looks up an entry. If the path has several entries, the most similar entry is used.
func (x *index) find(e *inspect.Entry) match {
	var best match
	at, known := x.first[e.Path]
	for known && at != none {
		p := x.places[at]
		at = p.next
		o := &x.of.Layers[p.layer].Entries[p.entry]
		m := match{known: true, layer: int(p.layer)}
		if o.Meta == e.Meta && o.Content == e.Content {
			m.same, m.times = true, o.MTime != e.MTime
		}
		if !best.known || m.same && (!best.same || best.times && !m.times) {
			best = m
		}
	}
	return best
}

// has reports whether an image contains a path, and whether the given layer contains it.
func (x *index) has(path string, layer int) (known, here bool) {
	at, known := x.first[path]
	for known && at != none && !here {
		here = int(x.places[at].layer) == layer
		at = x.places[at].next
	}
	return known, here
}
