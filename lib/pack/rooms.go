package pack

// rooms contains the remaining room in each of many layers. It is a tree in which each node is the
// maximum of its children, so that the first layer with enough room is found in a few steps.
type rooms struct {
	leaves int
	most   []int64 // node i has the children 2i and 2i+1; the leaves come last
}

func newRooms(n int, room int64) *rooms {
	r := &rooms{leaves: 1}
	for r.leaves < n {
		r.leaves *= 2
	}
	r.most = make([]int64, 2*r.leaves)
	for i := range r.most {
		r.most[i] = room
	}
	return r
}

// first returns the first layer with enough room; at least one must exist.
func (r *rooms) first(need int64) int {
	i := 1
	for i < r.leaves {
		if i *= 2; r.most[i] < need {
			i++
		}
	}
	return i - r.leaves
}

// take reduces the room in a layer.
func (r *rooms) take(layer int, n int64) {
	i := layer + r.leaves
	r.most[i] -= n
	for i /= 2; i > 0; i /= 2 {
		r.most[i] = max(r.most[2*i], r.most[2*i+1])
	}
}
