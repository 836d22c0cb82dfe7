package group

// jointShare is the part of a component's rate, in percent, that is distributed over the weeks in
// which it changed before. The rest is distributed over all weeks.
const jointShare = 60

const (
	// months is the number of spans of four weeks.
	months = scenarios / 4
	// run is the number of odds that are added up in one sum. A sum of 13 products of two chances
	// fits into 64 bits.
	run  = 13
	runs = (scenarios + months) / run
	// weekRuns is the number of runs for weeks.
	weekRuns = scenarios / run
)

// odds are the chances of staying unchanged in each scenario. The weeks come first, then the spans
// of four weeks.
type odds [scenarios + months]uint32 // scaled by one

// sums contains the sum of each run of odds.
type sums [runs]uint64

func (o *odds) sums() (s sums) {
	for i, q := range o {
		s[i/run] += uint64(q)
	}
	return s
}

// mean returns the mean chance of staying unchanged for a week.
func (o *odds) mean() uint64 {
	s := o.sums()
	return everyWeek.mean(&s)
}

// and combines the odds of two components or units: it sets o to the chances that neither of them
// changes.
func (o *odds) and(p *odds) {
	for i := range o {
		o[i] = uint32(uint64(o[i]) * uint64(p[i]) >> oneBits)
	}
}

// spans derives the chances for the spans from the chances for their weeks.
func (o *odds) spans() {
	for i := range months {
		q := one
		for s := range 4 {
			q = times(q, uint64(o[4*i+s]))
		}
		o[scenarios+i] = uint32(max(q, 1)) // never zero, because it is used as a divisor
	}
}

// clients contains the weights of a week and of a span of four weeks, and the sum over all
// scenarios.
type clients struct{ week, span, sum uint64 }

// everyWeek represents clients that download every image.
var everyWeek = clients{week: 1, sum: scenarios}

const (
	// skipShare divided by the number of layers, but at most maxSkip, is the percentage of clients
	// that download only every fourth image. For these clients, what counts is which components
	// change within four weeks, not how often. If there are few layers, they are large and should
	// stay unchanged for such clients too. With many layers, each change is small anyway.
	skipShare = 1600
	maxSkip   = 60
)

// someSkip returns the clients for an image with at most this many layers.
func someSkip(limit int) clients {
	skip := uint64(min(skipShare/limit, maxSkip))
	c := clients{week: 100 - skip, span: 4 * skip} // a span weighs as much as its weeks
	c.sum = c.week*scenarios + c.span*months
	return c
}

// mean returns the mean chance over all scenarios.
func (c *clients) mean(s *sums) uint64 {
	var w uint64
	for _, x := range s[:weekRuns] {
		w += x
	}
	return (w*c.week + s[weekRuns]*c.span) / c.sum
}

// most returns an upper bound of the mean chance that neither of two units changes. In each run,
// the two stay unchanged together at most as often as the one that changes more often.
func (c *clients) most(a, b *sums) uint64 {
	var s sums
	for i := range s {
		s[i] = min(a[i], b[i])
	}
	return c.mean(&s)
}

// both returns the mean chance that neither of two units changes.
func (c *clients) both(a, b *odds) uint64 {
	var s sums
	for i := range weekRuns {
		s[i] = product(a, b, i)
	}
	if c.span > 0 {
		s[weekRuns] = product(a, b, weekRuns)
	}
	return c.mean(&s)
}

// product returns the sum of the products in one run.
func product(a, b *odds, i int) (sum uint64) {
	x, y := (*[run]uint32)(a[i*run:]), (*[run]uint32)(b[i*run:])
	for k := range x {
		sum += uint64(x[k]) * uint64(y[k])
	}
	return sum >> oneBits
}

// outlook returns a component's chance of staying unchanged in each scenario, based only on its own
// history.
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
	o.spans()
	return o
}
