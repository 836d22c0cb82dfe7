package group

import (
	"math/bits"
	"slices"
)

// A history says when a component was released. But a package can be rebuilt with each image, for
// example a kernel module whose changelog has one entry per year, and many components have no
// history. The last images show how often such a component changes in fact. So a plan records
// surprises: images in which a component changed although its history has no new update. Changes
// that the history explains are in its rate already.

// Learned is what the last images show of a component.
type Learned struct {
	// Updated is the day of its newest known update, counted from 1970; 0 if none is known.
	Updated int64
	// Surprises are its changes without an update.
	Surprises Surprises
}

// Surprises has one bit per image, bit 0 the latest: whether the component changed in it without an
// update in its history. The highest bit that is set marks the first surprise. That can be chance
// and does not count. The zero value has no surprise.
type Surprises uint32

const (
	// remembered is the number of images that count. What an older one showed is forgotten.
	remembered = 31
	// surprisePrior is the number of images without a surprise that every component is assumed to
	// have had after the first one.
	surprisePrior = 3
)

// images returns the number of images since the first surprise.
func (s Surprises) images() int { return max(bits.Len32(uint32(s))-1, 0) }

func (s Surprises) has(image int) bool { return s>>image&1 == 1 }

// next adds an image.
func (s Surprises) next(surprise bool) Surprises {
	if s == 0 {
		if surprise {
			return 1
		}
		return 0
	}
	const latest = 1<<remembered - 1
	full := s.images() == remembered
	s <<= 1
	if surprise {
		s |= 1
	}
	if full {
		if s &= latest; s != 0 {
			s |= latest + 1
		}
	}
	return s
}

// Learn returns what the last images and this one show of each component. prev is the last image,
// not nil. If nothing at all has changed, nothing is learned, so that an image that is built again
// is the same. An image in which more than half of the components are surprises was rebuilt as a
// whole. That does not show how often a component changes by itself.
func Learn(cs []Component, prev *Previous) []Learned {
	was := make(map[string]string) // fingerprints
	for _, l := range prev.Layers {
		for _, m := range l {
			was[m.Name] = m.Fingerprint
		}
	}
	out, surprised := make([]Learned, len(cs)), make([]bool, len(cs))
	same, surprises := 0, 0
	for i := range cs {
		c := &cs[i]
		out[i] = prev.Learned[c.Name]
		print, existed := was[c.Name]
		switch {
		case !existed:
			continue
		case print == "" || c.Fingerprint == "" || print == c.Fingerprint:
			same++
			continue
		}
		if surprised[i] = !explained(c.Updates, out[i].Updated); surprised[i] {
			surprises++
		}
	}
	if same == len(cs) && same == len(was) {
		return out
	}
	rebuilt := surprises > len(cs)/2
	for i := range out {
		out[i].Updated = newestDay(cs[i].Updates)
		if !rebuilt {
			out[i].Surprises = out[i].Surprises.next(surprised[i])
		}
	}
	return out
}

// explained reports whether a history says why a component has changed since the day of its last
// known update, 0 if that is not known: it has a newer one. It has to contain the last one too:
// some databases only have the time of the last build, so that each update replaces the one before.
func explained(updates []int64, last int64) bool {
	switch {
	case len(updates) == 0:
		return false
	case last == 0:
		return true // the last image does not say what was known
	}
	return newestDay(updates) > last && slices.ContainsFunc(updates, func(u int64) bool { return floor(u, day)/day == last })
}

// newestDay returns the day of the latest update, 0 for none.
func newestDay(updates []int64) int64 {
	if len(updates) == 0 {
		return 0
	}
	return max(floor(slices.Max(updates), day)/day, 0)
}

// surprise returns the chance that a component changes without an update.
func (e *estimator) surprise(s Surprises) uint64 {
	n := s.images()
	var hits uint64
	for i := range n {
		if s.has(i) {
			hits += e.long.w[i]
		}
	}
	return ratio(hits, surprisePrior*one+e.long.sum[n])
}

// remember adds surprises to the weeks with a change, an image for a week: components that changed
// in the same images are likely to do so again.
func (in *input) remember(hs []history) {
	for i := range hs {
		s := in.cs[i].Surprises
		for n := range s.images() {
			if s.has(n) {
				hs[i].hits.set(n)
			}
		}
	}
}
