package group

import "math/bits"

// Components are often released together for a reason, for example the parts of a desktop, or a
// compiler and its libraries. The few updates of one component cannot distinguish this from chance,
// but the updates of its peers can. In a week in which many peers changed, the component was likely
// to change too.

const (
	// slot is the time within which updates count as one release, in seconds. With a slot of a
	// week, too many components that change often would seem related.
	slot = 2 * day
	// slots is the number of slots that are compared, which is two years.
	slots = 364
	// minShared is the minimum number of common slots that counts as a pattern.
	minShared = 3
	// likenessPrior is the number of unshared slots that every pair is assumed to have in addition
	// to the known ones.
	likenessPrior = 3
	// peerWeight is the weight of peers whose likeness is 1, compared with the component's own
	// changes.
	peerWeight = 3
	// aloneShare is the percentage of a rate that is distributed over the weeks in which the
	// component changed. Likeness adds likeShare, up to maxShare.
	aloneShare = 40
	likeShare  = 120
	maxShare   = 95
)

// releases is the set of slots in which a component changed, with bit 0 for the latest slot.
type releases [(slots + 63) / 64]uint64

func (r *releases) set(s int)      { r[s/64] |= 1 << (s % 64) }
func (r *releases) has(s int) bool { return r[s/64]>>(s%64)&1 == 1 }

func (r *releases) count() (n int) {
	for _, w := range r {
		n += bits.OnesCount64(w)
	}
	return n
}

// released reads a component's updates up to ref, like past.
func released(updates []int64, h *history, ref int64, births bool) (r releases) {
	if h.weeks == 0 {
		return r
	}
	first := ref
	for _, u := range updates {
		first = min(first, u)
	}
	last := uint64(floor(ref, slot))
	for _, u := range updates {
		if u > ref || (u == first && !births) {
			continue
		}
		if n := (last - uint64(floor(u, slot))) / uint64(slot); n < slots {
			r.set(int(n))
		}
	}
	return r
}

// likeness is the share of two components' releases that they have in common, beyond what is
// expected by chance. It is zero if the components have too few releases in common.
func likeness(a, b *releases, na, nb int) uint64 {
	both := 0
	for i := range a {
		both += bits.OnesCount64(a[i] & b[i])
	}
	if both < minShared || both*slots <= na*nb {
		return 0
	}
	return ratio(uint64(both*slots-na*nb), uint64(slots*(na+nb-both+likenessPrior)))
}

// peers summarises the components that are released together with one component.
type peers struct {
	weight uint64            // sum of the squares of the likenesses
	like   uint64            // sum of their cubes
	hits   [scenarios]uint64 // sum of the squares for peers that changed in the week
}

func (p *peers) add(like uint64, h *history) {
	w := times(like, like)
	p.weight += w
	p.like += times(w, like)
	for s := range scenarios {
		if h.hits.has(s) {
			p.hits[s] += w
		}
	}
}

// releases returns every component's releases up to ref.
func (in *input) releases(hs []history, ref int64) []releases {
	rs := make([]releases, len(hs))
	for i := range hs {
		rs[i] = released(in.cs[i].Updates, &hs[i], ref, in.last)
	}
	return rs
}

// findPeers compares all pairs of components with enough releases.
func (in *input) findPeers(hs []history, ref int64) []peers {
	rs := in.releases(hs, ref)
	var list []int
	for i := range rs {
		if rs[i].count() >= minShared {
			list = append(list, i)
		}
	}
	list = in.largest(list)
	list = list[:min(compared, len(list))]
	counts := make([]int, len(list))
	for n, i := range list {
		counts[n] = rs[i].count()
	}
	out := make([]peers, len(hs))
	for a, i := range list {
		for b, j := range list[:a] {
			if like := likeness(&rs[i], &rs[j], counts[a], counts[b]); like > 0 {
				out[i].add(like, &hs[j])
				out[j].add(like, &hs[i])
			}
		}
	}
	return out
}

// outlooks returns every component's chance of staying unchanged in each scenario, based on its own
// history and the histories of its peers.
func (in *input) outlooks(hs []history, ps []uint64, ref int64) []odds {
	all := in.findPeers(hs, ref)
	out := make([]odds, len(hs))
	for i := range hs {
		out[i] = all[i].outlook(&hs[i], ps[i])
	}
	return out
}

// outlook distributes the rate p over the scenarios.
func (p *peers) outlook(h *history, rate uint64) (o odds) {
	like := ratio(p.like, p.weight)
	follow := min(one/100*aloneShare+like*likeShare/100, one/100*maxShare)
	var likely [scenarios]uint64
	var sum uint64
	for s := range scenarios {
		likely[s] = times(peerWeight*like, ratio(p.hits[s], p.weight))
		if h.hits.has(s) {
			likely[s] += one
		}
		sum += likely[s]
	}
	if sum == 0 {
		follow, sum = 0, 1
	}
	const bit = 20 // precision of the ratio to the mean week
	for s := range scenarios {
		part := times(rate, follow) * (likely[s] * scenarios << bit / sum) >> bit
		change := times(rate, one-follow) + part
		o[s] = uint32(one - min(change, maxRate))
	}
	o.spans()
	return o
}
