package doctor

import (
	"fmt"

	"chunkah/lib/chain"
)

// maxOrderCost is how many times as much as the best order an image's order can cost without a
// finding. A planner that rounds its figures comes closer than that.
const maxOrderCost = 2

// findOrder compares the order of an image's layers with the best one. The bytes of the finding are
// what the order costs per week beyond the best one.
func findOrder(e *Examiner, f Finding) (_ Finding, found bool) {
	layers := e.opt.Layers
	cost, least := chain.Cost(layers), chain.Cost(chain.Best(layers))
	if cost <= maxOrderCost*least {
		return f, false
	}
	f.What = fmt.Sprintf("with the layers in this order docker (overlay2) downloads %.1f times as much in an average week as with stable layers at the bottom",
		cost/max(least, 1))
	f.Bytes = int64(cost - least)
	f.Advice = "build the image again with this version of chunkah, without --previous; clients then download all of it once"
	return f, true
}
