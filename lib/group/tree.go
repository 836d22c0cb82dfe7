package group

// Blocks are sorted into squares, one for each class of size and of rate, and the
// squares into a tree: its root is all of them, and each level halves either the
// sizes or the rates, in the fixed order of halving. A plan cuts the tree off at some
// of its areas. The blocks of such an area share a layer, except for the largest of
// them that are worth one each.
//
// What a layer is worth is one number for the whole tree, the price. With it, the
// cheapest plan of an area depends on nothing outside. So one component more or less
// changes its own area, and elsewhere the cut that was least worth its price. Choosing
// the direction of each cut, too, saves nothing measurable. But then a small change can
// turn a cut near the root, and move everything.

// halving says what each level of the tree halves, from the root down: true stands for
// sizes. Each direction appears as often as its classes have bits.
var halving = [sizeBits + rateBits]bool{true, false, true, false, false, true, false, false, true}

// area is one node of the tree.
type area struct {
	blocks []*block // the largest first
	costs  []int64  // expected bytes a week where the n largest are alone and the others together
	halves [2]*area // nil: no more halves, or all blocks are in one square

	// The cheapest plan at the price of the last call of solve.
	total  int64 // expected bytes and the layers' prices
	layers int
	cut    bool // into halves
	alone  int  // where it is not cut
}

// newTree makes the tree of blocks, which are in order, the largest first.
func newTree(blocks []*block) *area { return newArea(blocks, 0, 0, 0) }

// newArea makes the area of blocks below a level, at which so many bits of their
// classes are the same.
func newArea(blocks []*block, level, sizes, rates int) *area {
	r := &area{blocks: blocks}
	r.assess()
	if len(blocks) < 2 {
		return r
	}
	for level < len(halving) {
		bySize := halving[level]
		if level++; bySize {
			sizes++
		} else {
			rates++
		}
		var parts [2][]*block
		for _, b := range blocks {
			bit := b.rate >> (rateBits - rates) & 1
			if bySize {
				bit = b.class >> (sizeBits - sizes) & 1
			}
			parts[bit] = append(parts[bit], b)
		}
		if len(parts[0]) > 0 && len(parts[1]) > 0 {
			r.halves = [2]*area{newArea(parts[0], level, sizes, rates), newArea(parts[1], level, sizes, rates)}
			break
		}
	}
	return r
}

// assess computes the costs of an area that is not cut.
func (r *area) assess() {
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

// solve finds the cheapest plan at a price per layer and counts its layers.
func (r *area) solve(price int64) int {
	r.keep(price)
	if x, y := r.halves[0], r.halves[1]; x != nil {
		if n := x.solve(price) + y.solve(price); x.total+y.total < r.total {
			r.total, r.layers, r.cut = x.total+y.total, n, true
		}
	}
	return r.layers
}

// keep plans the area in one piece.
func (r *area) keep(price int64) {
	r.cut, r.alone, r.layers = false, 0, 1
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

// Prices are tried in steps of 64 per octave, from 16 bytes a week to beyond what any
// image costs. Of coarse steps, one takes several layers away at once.
const (
	stepBits   = 6
	priceSteps = (51 - 4) << stepBits
)

func priceAt(step int) int64 {
	return int64(1<<stepBits+step&(1<<stepBits-1)) << (step >> stepBits) >> (stepBits - 4)
}

// plan gives the layers at the lowest price at which there are at most limit, each
// with its largest block first.
func (r *area) plan(limit int) [][]*block {
	if len(r.blocks) == 0 {
		return nil
	}
	low, high := 0, priceSteps
	for low < high {
		mid := (low + high) / 2
		if r.solve(priceAt(mid)) <= limit {
			high = mid
		} else {
			low = mid + 1
		}
	}
	spare := limit - r.solve(priceAt(low))
	return spend(spare, r.solved(nil))
}

// solved appends the layers of the area's plan.
func (r *area) solved(out [][]*block) [][]*block {
	if r.cut {
		return r.halves[1].solved(r.halves[0].solved(out))
	}
	for i := range r.alone {
		out = append(out, r.blocks[i:i+1])
	}
	return append(out, r.blocks[r.alone:])
}

// spend gives layers that are left to the largest blocks of the smallest layers that
// several share: a step of the price may take several layers away at once. Those that
// are left are others after any coming or going, so they are spent where moving costs
// least.
func spend(spare int, layers [][]*block) [][]*block {
	for range spare {
		at := -1
		for i, l := range layers {
			if len(l) > 1 && (at < 0 || total(l) < total(layers[at])) {
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

// total is the number of bytes in a layer.
func total(blocks []*block) (bytes int64) {
	for _, b := range blocks {
		bytes += b.size
	}
	return bytes
}
