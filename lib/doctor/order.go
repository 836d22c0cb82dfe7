package doctor

import (
	"fmt"

	"chunkah/lib/chain"
	"chunkah/lib/console"
)

// maxOrderCost is how many times the cost of the best order an image's order may have.
// A planner that rounds its figures comes closer than that.
const maxOrderCost = 2

// findOrder compares the order of an image's layers with the best one.
func findOrder(layers []chain.Layer) (what, advice string) {
	cost, least := chain.Cost(layers), chain.Cost(chain.Best(layers))
	if cost <= maxOrderCost*least {
		return "", ""
	}
	what = fmt.Sprintf("with the layers in this order docker (overlay2) downloads %s in an average week, and %s with stable ones at the bottom",
		console.Bytes(int64(cost)), console.Bytes(int64(least)))
	return what, "build the image again with this version of chunkah, without --previous; clients then download all of it once"
}
