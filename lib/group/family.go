package group

import (
	"cmp"
	"math/bits"
	"slices"
)

// A family is what is released together: a desktop's libraries, a suite of
// plugins. In one layer they cost hardly more than one of them.

const (
	// familyWeeks is how far back a family's weeks are compared.
	familyWeeks = 2 * 52
	// familyHits is the number of weeks with a change that two components have
	// to share: fewer are chance.
	familyHits = 3
	// Of the weeks in which either of two relatives changed, both did in
	// alikeOf out of alikeIn at least. Half the weeks are shared by chance
	// where two components change often.
	alikeOf, alikeIn = 3, 4
)

// families splits a list into families; most are of one. The first apart
// components of the list remain for themselves. A family stands where its
// first component stood.
func families(list []int, apart int, hs []history) [][]int {
	head := make([]int, len(list)) // position -> an earlier one of its family
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
	for _, pair := range relatives(list, apart, hs) {
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

// relatives lists the pairs of positions that change together.
func relatives(list []int, apart int, hs []history) (pairs [][2]int) {
	type seen struct {
		at, n int
		hits  weekMask
	}
	var all []seen
	for i := apart; i < len(list); i++ {
		s := seen{at: i}
		for w := range familyWeeks {
			if hs[list[i]].hits.has(w) {
				s.hits.set(w)
				s.n++
			}
		}
		if s.n >= familyHits {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b seen) int { return cmp.Compare(a.n, b.n) })
	for i := range all {
		a := &all[i]
		for j := i + 1; j < len(all) && a.n*alikeIn >= all[j].n*alikeOf; j++ {
			b := &all[j]
			both := 0
			for k := range a.hits {
				both += bits.OnesCount64(a.hits[k] & b.hits[k])
			}
			if both >= familyHits && both*alikeIn >= (a.n+b.n-both)*alikeOf {
				pairs = append(pairs, [2]int{a.at, b.at})
			}
		}
	}
	return pairs
}
