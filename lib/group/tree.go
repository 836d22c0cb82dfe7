package group

// The size class and the rate class of a block determine its square. The squares form a tree. The
// root of the tree contains all squares, and each level halves either the sizes or the rates, in
// the fixed order in halving. A plan divides the tree into areas. The blocks in an area share a
// layer, except for the largest blocks, which can be worth a layer each.
//
// A single number, the price, is how much a layer must save anywhere in the tree. At a given price,
// the cheapest plan for an area does not depend on anything outside the area. So adding or removing
// a component changes its own area, and elsewhere only cuts that were hardly worth their price. The
// direction of each cut is fixed. Choosing it would save nothing measurable, and a small change
// could then turn a cut near the root and move everything.

// halving determines what each level of the tree halves, from the root down: sizes if true,
// otherwise rates. Sizes and rates each occur as often as their classes have bits.
var halving = [sizeBits + rateBits]bool{true, false, true, false, false, true, false, false, true}

// area is a node of the tree.
type area struct {
	blocks []*block // the largest first
	// costs contains, by n, the expected bytes per week if the n largest blocks have their own
	// layers and the others share one.
	costs  []int64
	halves [2]*area // nil if all blocks are in one square

	// The cheapest plan at the price in the last call of solve.
	total  int64 // expected bytes and the layers' prices
	layers int
	cut    bool // the area is divided into halves
	alone  int  // how many of the largest blocks have their own layer; only if the area is not cut
}

// newTree makes a tree from blocks, which are sorted by size, the largest first. Blocks that change
// with every build are separated from the rest at the top, because anything that shares a layer
// with them would also change with every build.
func newTree(blocks []*block) *area {
	var parts [2][]*block
	for _, b := range blocks {
		if b.always {
			parts[1] = append(parts[1], b)
		} else {
			parts[0] = append(parts[0], b)
		}
	}
	if len(parts[0]) == 0 || len(parts[1]) == 0 {
		return newArea(blocks, 0, 0, 0)
	}
	r := &area{blocks: blocks, halves: [2]*area{newArea(parts[0], 0, 0, 0), newArea(parts[1], 0, 0, 0)}}
	r.assess()
	return r
}

// newArea makes an area at a level of the tree. The classes of its blocks have their first bits in
// common. sizes and rates are the numbers of these bits.
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

// keep plans the area as one piece.
func (r *area) keep(price int64) {
	r.cut, r.alone, r.layers = false, 0, 1
	r.total = r.costs[0] + price
	paid := price
	for n := 1; n < len(r.blocks); n++ {
		if paid += price; paid >= r.total { // further separate layers only cost more
			return
		}
		if t := r.costs[n] + paid; t < r.total {
			r.total, r.alone, r.layers = t, n, n+1
		}
	}
}

// Prices have 64 steps per octave, from 16 bytes per week to more than any image costs. With larger
// steps, a single step would remove several layers.
const (
	stepBits   = 6
	priceSteps = (51 - 4) << stepBits
)

func priceAt(step int) int64 {
	return int64(1<<stepBits+step&(1<<stepBits-1)) << (step >> stepBits) >> (stepBits - 4)
}

// plan returns the layers at the lowest price at which there are at most limit layers. Each layer
// starts with its largest block.
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

// solved appends the layers of the area's plan to out.
func (r *area) solved(out [][]*block) [][]*block {
	if r.cut {
		return r.halves[1].solved(r.halves[0].solved(out))
	}
	for i := range r.alone {
		out = append(out, r.blocks[i:i+1])
	}
	return append(out, r.blocks[r.alone:])
}

// spend uses the remaining layers, because one price step can remove several layers. The largest
// block of the smallest shared layer gets a layer, and so on. The number of remaining layers
// changes with every added or removed component, so they are used where a move costs least.
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

// total returns the number of bytes in a layer.
func total(blocks []*block) (bytes int64) {
	for _, b := range blocks {
		bytes += b.size
	}
	return bytes
}
