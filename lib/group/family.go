package group

import (
	"cmp"
	"slices"
)

// A family is a set of components that are released together, for example the libraries of a
// desktop. A layer that contains the whole family changes only slightly more often than a layer
// that contains only one member.

const (
	// kinship is the minimum likeness of two relatives, as a fixed-point number. A lower value
	// would join components that are often released on the same days by chance.
	kinship = one / 5 * 2
	// rebuilt is a percentage of all components. If more components than this are released at once,
	// everything was probably rebuilt, and the release is ignored. Otherwise it would relate
	// components that rarely change, and put half of the image into one family.
	rebuilt = 25
)

// families splits a list into families. Most families consist of one component. The components at
// the start of the list do not join any family; apart is their number. A family takes the position
// of its first component and starts with that component.
func families(list []int, apart int, rs []releases) [][]int {
	head := make([]int, len(list)) // position -> an earlier position in its family
	for i := range head {
		head[i] = i
	}
	find := func(i int) int {
		for head[i] != i {
			head[i] = head[head[i]]
			i = head[i]
		}
		return i
	}
	for _, pair := range relatives(list, apart, rs) {
		a, b := find(pair[0]), find(pair[1])
		head[max(a, b)] = min(a, b)
	}
	var out [][]int
	at := make([]int, len(list)) // position of a head -> index into out
	for i, c := range list {
		h := find(i)
		if h == i {
			at[i] = len(out)
			out = append(out, nil)
		}
		out[at[h]] = append(out[at[h]], c)
	}
	return out
}

// relatives lists the pairs of positions that are released together.
func relatives(list []int, apart int, rs []releases) (pairs [][2]int) {
	type seen struct {
		at, n int
		slots releases
	}
	everyone := rebuilds(rs)
	var all []seen
	for i := apart; i < min(apart+compared, len(list)); i++ {
		s := seen{at: i, slots: rs[list[i]]}
		for k := range s.slots {
			s.slots[k] &^= everyone[k]
		}
		if s.n = s.slots.count(); s.n >= minShared {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b seen) int { return cmp.Compare(a.n, b.n) })
	for i := range all {
		a := &all[i]
		for j := i + 1; j < len(all); j++ {
			b := &all[j]
			if ratio(uint64(a.n), uint64(b.n+likenessPrior)) < kinship {
				break // b has too many releases, even if it shares all releases of a
			}
			if likeness(&a.slots, &b.slots, a.n, b.n) >= kinship {
				pairs = append(pairs, [2]int{a.at, b.at})
			}
		}
	}
	return pairs
}

// rebuilds returns the slots with so many releases that the slots do not show which components
// belong together.
func rebuilds(rs []releases) (out releases) {
	for s := range slots {
		n := 0
		for i := range rs {
			if rs[i].has(s) {
				n++
			}
		}
		if n*100 > len(rs)*rebuilt {
			out.set(s)
		}
	}
	return out
}
