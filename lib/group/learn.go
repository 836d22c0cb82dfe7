package group

import (
	"math/bits"
	"slices"
)

// A history shows when a component was released. But some packages are rebuilt with each image, for
// example a kernel module whose changelog contains one entry per year. Other components have no
// history. The previous images show how often such a component actually changes. So a plan records
// surprises: images in which a component changed although its history contains no new update.
// Changes that the history explains are already part of the component's rate.

// Learned describes how often a component changed in the previous images.
type Learned struct {
	// Updated is the day of the component's newest known update, counted from 1970. It is 0 if no
	// update is known.
	Updated int64
	// Surprises are the component's changes without an update.
	Surprises Surprises
}

// Surprises contains one bit per image, with bit 0 for the latest image. A bit is set if the
// component changed in that image without an update in its history. The highest set bit marks the
// first surprise. The first surprise can be a coincidence, so it is not counted. The zero value
// contains no surprise.
type Surprises uint32

const (
	// remembered is the number of images that are taken into account. Older images are ignored.
	remembered = 31
	// surprisePrior is the number of images without a surprise that every component is assumed to
	// have had after its first surprise.
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

// Learn returns what the previous images and this image show about each component. prev is the
// previous image and must not be nil. If nothing at all has changed, nothing is learned, so that
// building the same image again produces the same result. If more than half of the components are
// surprises, the whole image was rebuilt. That does not show how often a single component changes.
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

// explained reports whether a history explains why a component has changed since last, the day of
// its last known update. A history explains a change if it contains a newer update. It must also
// contain an update on day last, because some databases store only the time of the last build, so
// that each update replaces the previous one. last is 0 if that day is unknown.
func explained(updates []int64, last int64) bool {
	switch {
	case len(updates) == 0:
		return false
	case last == 0:
		return true // the previous image does not record which updates were known
	}
	return newestDay(updates) > last && slices.ContainsFunc(updates, func(u int64) bool { return floor(u, day)/day == last })
}

// newestDay returns the day of the latest update, or 0 if there is no update.
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

// remember adds surprises to the weeks with a change, treating one image as one week. Components
// that changed in the same images are likely to do so again.
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
