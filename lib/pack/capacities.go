package pack

// capacities contains the remaining capacity of each of many layers. It is a tree in which each
// node is the maximum of its children, so that the first layer with enough capacity is found in a
// few steps.
type capacities struct {
	leaves int
	most   []int64 // node i has the children 2i and 2i+1; the leaves come last
}

func newCapacities(n int, capacity int64) *capacities {
	c := &capacities{leaves: 1}
	for c.leaves < n {
		c.leaves *= 2
	}
	c.most = make([]int64, 2*c.leaves)
	for i := range c.most {
		c.most[i] = capacity
	}
	return c
}

// first returns the first layer with enough capacity; at least one must exist.
func (c *capacities) first(need int64) int {
	i := 1
	for i < c.leaves {
		if i *= 2; c.most[i] < need {
			i++
		}
	}
	return i - c.leaves
}

// take reduces the capacity of a layer.
func (c *capacities) take(layer int, n int64) {
	i := layer + c.leaves
	c.most[i] -= n
	for i /= 2; i > 0; i /= 2 {
		c.most[i] = max(c.most[2*i], c.most[2*i+1])
	}
}
