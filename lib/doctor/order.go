package doctor

import (
	"fmt"

	"chunkah/lib/chain"
)

// maxOrderCost is the accepted cost of an order, as a multiple of the best order's cost. The effect
// of rounding in planners is smaller.
const maxOrderCost = 2

// findOrder compares the order of an image's layers with the best order. The finding's bytes are
// the extra cost per week.
func findOrder(e *Examiner, f Finding) (_ Finding, found bool) {
	layers := e.opt.Layers
	cost, least := chain.Cost(layers), chain.Cost(chain.Best(layers))
	if cost <= maxOrderCost*least {
		return f, false
	}
	f.What = fmt.Sprintf("with this order of layers, docker (overlay2) downloads %.1f times as much per week as with stable layers at the bottom",
		cost/max(least, 1))
	f.Bytes = int64(cost - least)
	f.Advice = "rebuild the image with this version of chunkah, without --previous; clients then download the whole image once"
	return f, true
}
