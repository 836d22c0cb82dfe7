package group

// A grid has a square for each class of rates and each class of sizes. It is
// cut in halves, and these in halves again, in either direction, where that
// is worth a layer. The blocks of an area that is not cut further share a
// layer, but for the largest of them that are worth one each.
//
// What a layer is worth is one number for the whole grid, the price: with it
// the cheapest cuts of an area depend on nothing outside, so what comes or
// goes in one corner leaves the others as they are.

// grid holds all areas that cutting in halves can make: areas[a][b] are those
// of 2^a classes of rates and 2^b of sizes.
type grid struct {
	areas [rateBits + 1][sizeBits + 1][]area
}

// area is a rectangle of the grid.
type area struct {
	blocks []*block // the largest first
	costs  []int64  // expected bytes a week where the n largest are alone and the others together

	// The cheapest plan at the price of the last call of solve.
	total  int64 // expected bytes and the layers' prices
	layers int
	cut    cut
	alone  int // where it is not cut
}

type cut uint8

const (
	whole cut = iota
	byRate
	bySize
)

func newGrid(blocks []*block) *grid {
	g := new(grid)
	for a := range g.areas {
		for b := range g.areas[a] {
			g.areas[a][b] = make([]area, (rateClasses>>a)*(sizeClasses>>b))
			for _, k := range blocks {
				r := g.at(a, b, k.rate>>a, k.class>>b)
				r.blocks = append(r.blocks, k)
			}
			for i := range g.areas[a][b] {
				g.areas[a][b][i].assess()
			}
		}
	}
	return g
}

func (g *grid) at(a, b, rate, class int) *area {
	return &g.areas[a][b][rate*(sizeClasses>>b)+class]
}

// assess computes the costs of an area that is not cut.
func (r *area) assess() {
	if len(r.blocks) == 0 {
		return
	}
	n := len(r.blocks)
	r.costs = make([]int64, n+1)
	var pool odds
	for s := range pool {
		pool[s] = uint32(one)
	}
	size := int64(0)
	for i := n - 1; i >= 0; i-- {
		size += r.blocks[i].size
		pool.and(&r.blocks[i].odds)
		r.costs[i] = share(size, one-pool.mean())
	}
	alone := int64(0)
	for i, k := range r.blocks {
		alone += k.cost
		r.costs[i+1] += alone
	}
}

// solve finds the cheapest plan at a price a layer and counts its layers.
func (g *grid) solve(price int64) int {
	for a := range g.areas {
		for b := range g.areas[a] {
			for i := range g.areas[a][b] {
				r := &g.areas[a][b][i]
				if len(r.blocks) == 0 {
					continue
				}
				r.keep(price)
				if len(r.blocks) == 1 {
					continue
				}
				width := sizeClasses >> b
				for _, c := range [...]cut{byRate, bySize} {
					if x, y := g.halves(c, a, b, i/width, i%width); x != nil && x.total+y.total < r.total {
						r.total, r.layers, r.cut = x.total+y.total, x.layers+y.layers, c
					}
				}
			}
		}
	}
	return g.at(rateBits, sizeBits, 0, 0).layers
}

// keep plans the area in one piece.
func (r *area) keep(price int64) {
	r.cut, r.alone, r.layers = whole, 0, 1
	r.total = r.costs[0] + price
	paid := price
	for n := 1; n < len(r.blocks); n++ {
		if paid += price; paid >= r.total { // more layers alone cost more
			return
		}
		if t := r.costs[n] + paid; t < r.total {
			r.total, r.alone, r.layers = t, n, n+1
		}
	}
}

// halves gives an area's halves; nil where it is one class wide.
func (g *grid) halves(c cut, a, b, rate, class int) (x, y *area) {
	switch {
	case c == byRate && a > 0:
		return g.at(a-1, b, 2*rate, class), g.at(a-1, b, 2*rate+1, class)
	case c == bySize && b > 0:
		return g.at(a, b-1, rate, 2*class), g.at(a, b-1, rate, 2*class+1)
	}
	return nil, nil
}

// priceSteps is the number of prices tried: 16 in each octave, from 16 bytes
// a week to beyond what any image costs.
const priceSteps = 16 * (51 - 4)

func priceAt(step int) int64 { return int64(16+step%16) << (step / 16) }

// layers gives the plan at the lowest price at which it has at most limit
// layers, each with its largest block first.
func (g *grid) layers(limit int) [][]*block {
	low, high := 0, priceSteps
	for low < high {
		mid := (low + high) / 2
		if g.solve(priceAt(mid)) <= limit {
			high = mid
		} else {
			low = mid + 1
		}
	}
	spare := limit - g.solve(priceAt(low))
	return spend(spare, g.plan(rateBits, sizeBits, 0, 0, nil))
}

// plan appends the layers of one area's plan.
func (g *grid) plan(a, b, rate, class int, out [][]*block) [][]*block {
	r := g.at(a, b, rate, class)
	switch {
	case len(r.blocks) == 0:
	case r.cut == byRate:
		out = g.plan(a-1, b, 2*rate, class, out)
		out = g.plan(a-1, b, 2*rate+1, class, out)
	case r.cut == bySize:
		out = g.plan(a, b-1, rate, 2*class, out)
		out = g.plan(a, b-1, rate, 2*class+1, out)
	default:
		for i := range r.alone {
			out = append(out, r.blocks[i:i+1])
		}
		out = append(out, r.blocks[r.alone:])
	}
	return out
}

// spend gives layers that are left to the largest blocks that share one: a
// step of the price may take several layers away at once.
func spend(spare int, layers [][]*block) [][]*block {
	for range spare {
		at := -1
		for i, l := range layers {
			if len(l) > 1 && (at < 0 || l[0].size > layers[at][0].size) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		layers = append(layers, layers[at][:1])
		layers[at] = layers[at][1:]
	}
	return layers
}
