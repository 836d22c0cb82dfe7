package group

import (
	"math"
	"math/bits"
)

const (
	day  = int64(86400) // seconds
	week = 7 * day      // seconds
	// lookBack is the number of weeks of history that are used. Three years contain every release
	// cycle that matters, and older history is misleading.
	lookBack = 156
	// scenarios is the number of past weeks that show which components change together. It is a
	// year, so that each season occurs once.
	scenarios = 52
	// longDecay and shortDecay are 2^30 times the factor by which a weight decays per week. They
	// correspond to half-lives of 52 and 6 weeks.
	longDecay  = 1059524080
	shortDecay = 956595215
	// longPrior is the weight of the pooled rate, and shortPrior the weight of the long rate, both
	// in weeks of evidence.
	longPrior  = 8
	shortPrior = 2
	// shortShare is the weight of the short rate, in percent.
	shortShare = 15
	// defaultRate is the weekly chance of change if no component has a history. It is about once a
	// year.
	defaultRate = one / 52
	// minRate and maxRate bound every chance. The lower bound is about once in 40 years. No
	// component is certain to stay unchanged or to change.
	minRate = one / 2000
	maxRate = one / 50 * 49
)

// weekMask is a set of weeks before the reference time, with bit 0 for the latest week.
type weekMask [(lookBack + 63) / 64]uint64

func (m *weekMask) set(w int)      { m[w/64] |= 1 << (w % 64) }
func (m *weekMask) clear(w int)    { m[w/64] &^= 1 << (w % 64) }
func (m *weekMask) has(w int) bool { return m[w/64]>>(w%64)&1 == 1 }

// history is a component's past, as used by the estimator.
type history struct {
	hits  weekMask // weeks with a change
	weeks int      // number of weeks observed, 0 = none
}

// weights contains the decayed weights of the weeks and their running sums.
type weights struct{ w, sum [lookBack + 1]uint64 }

func newWeights(decay uint64) *weights {
	t := new(weights)
	x := one
	for i := range lookBack {
		t.w[i] = x
		t.sum[i+1] = t.sum[i] + x
		x = times(x, decay)
	}
	return t
}

// hit returns the sum of the weights of the weeks that changed.
func (t *weights) hit(h *history) (s uint64) {
	for w := range h.weeks {
		if h.hits.has(w) {
			s += t.w[w]
		}
	}
	return s
}

// ratio returns a/b as a chance, at most one. Both fit into 40 bits.
func ratio(a, b uint64) uint64 {
	if b == 0 {
		return 0
	}
	hi, lo := bits.Mul64(a, one)
	if hi >= b {
		return one
	}
	q, _ := bits.Div64(hi, lo, b)
	return min(q, one)
}

// past reads the updates up to ref. The first known update is the creation of a component and not a
// change, unless births is set (see lastOnly).
func past(updates []int64, ref int64, births bool) (h history) {
	first := int64(0)
	seen := false
	for _, u := range updates {
		if u > ref {
			continue
		}
		if !seen || u < first {
			first, seen = u, true
		}
	}
	if !seen {
		return h
	}
	h.weeks = min(weeksBetween(first, ref)+1, lookBack)
	for _, u := range updates {
		if u > ref || (u == first && !births) {
			continue
		}
		if w := weeksBetween(u, ref); w < lookBack {
			h.hits.set(w)
		}
	}
	return h
}

// weeksBetween counts whole weeks from u to ref >= u, without overflow.
func weeksBetween(u, ref int64) int {
	return int(min((uint64(ref)-uint64(u))/uint64(week), 1<<20))
}

// lastOnly reports whether most histories contain a single update. That update is then the last
// change, for example a build date, and not the creation.
func lastOnly(cs []Component) bool {
	single, many := 0, 0
	for i := range cs {
		switch n := len(cs[i].Updates); {
		case n > 1:
			many++
		case n == 1:
			single++
		}
	}
	return single > many
}

// estimator estimates chances of change within a week.
type estimator struct {
	long, short *weights
	pooled      uint64 // the common rate of all components
}

// newEstimator computes the pooled rate of all histories.
func newEstimator(cs []Component, hs []history) *estimator {
	e := &estimator{long: newWeights(longDecay), short: newWeights(shortDecay), pooled: defaultRate}
	var hits, sum uint64
	for i := range cs {
		hits += e.long.hit(&hs[i])
		sum += e.long.sum[hs[i].weeks]
	}
	if hits > 0 {
		e.pooled = octave(ratio(hits, sum))
	}
	return e
}

// rate returns the chance that a component with this history changes. Surprises add to the chance
// from the history.
func (e *estimator) rate(c *Component, h *history) uint64 {
	p := e.pooled
	if h.weeks == 0 && c.IntervalDays > 0 {
		p = intervalRate(c.IntervalDays)
	}
	pl := ratio(longPrior*p+e.long.hit(h), longPrior*one+e.long.sum[h.weeks])
	psh := ratio(shortPrior*pl+e.short.hit(h), shortPrior*one+e.short.sum[h.weeks])
	p = (pl*(100-shortShare) + psh*shortShare) / 100
	if s := e.surprise(c.Surprises); s > 0 {
		p = one - times(one-p, one-s)
	}
	return min(max(p, minRate), maxRate)
}

// rates estimates each component's chance of change within a week.
func rates(cs []Component, hs []history) []uint64 {
	e := newEstimator(cs, hs)
	ps := make([]uint64, len(cs))
	for i := range cs {
		ps[i] = e.rate(&cs[i], &hs[i])
	}
	return ps
}

// octave returns the power of two nearest to a chance on a log scale. The pooled rate changes with
// every new or removed component, but its octave rarely changes.
func octave(p uint64) uint64 { return 1 << nearestPower(p) }

// intervalRate returns the chance of a change within seven days if the chance per day is 1/days.
func intervalRate(days int64) uint64 {
	q := one - ratio(1, uint64(min(days, 1<<20)))
	stay := one
	for range 7 {
		stay = times(stay, q)
	}
	return one - stay
}

// newest returns the latest update that is not after now. A plan depends on the clock only through
// this value, so it stays the same as long as nothing is updated.
func newest(cs []Component, now int64) int64 {
	at := int64(math.MinInt64)
	for i := range cs {
		for _, u := range cs[i].Updates {
			if u > at && (u <= now || now < 1) {
				at = u
			}
		}
	}
	return at
}

// floor rounds a time down to a multiple of step, or to the earliest possible time.
func floor(t, step int64) int64 {
	m := t % step
	if m < 0 {
		m += step
	}
	if t < math.MinInt64+m {
		return math.MinInt64
	}
	return t - m
}

// histories reads every component's updates up to ref.
func (in *input) histories(ref int64) []history {
	hs := make([]history, len(in.cs))
	for i := range in.cs {
		hs[i] = past(in.cs[i].Updates, ref, in.last)
	}
	return hs
}

// forgetRebuilds drops the changes of weeks in which more than half of the components changed, for
// example because a distribution was rebuilt with a new compiler. In such a week, clients download
// everything, whatever the layers, and the changes do not show how often a single component
// changes. Likeness still uses these weeks, because dropping them there did not improve plans.
func forgetRebuilds(hs []history) {
	for w := range lookBack {
		n := 0
		for i := range hs {
			if hs[i].hits.has(w) {
				n++
			}
		}
		if n <= len(hs)/2 {
			continue
		}
		for i := range hs {
			hs[i].hits.clear(w)
		}
	}
}
