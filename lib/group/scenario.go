package group

// jointShare is how much of a component's rate follows the weeks in which it
// changed before, in percent; the rest is spread evenly.
const jointShare = 60

// outlook gives the component's chance to stay in each scenario.
func outlook(h *history, p uint64) (o odds) {
	n := 0
	for s := range scenarios {
		if h.hits.has(s) {
			n++
		}
	}
	base := one - p
	drop := uint64(0)
	if n > 0 {
		base = one - p*(100-jointShare)/100
		drop = min(p*jointShare/100*scenarios/uint64(n), one/10*9)
	}
	for s := range scenarios {
		q := base
		if h.hits.has(s) {
			q = max(base-min(base, drop), one/50)
		}
		o[s] = uint32(q)
	}
	return o
}
