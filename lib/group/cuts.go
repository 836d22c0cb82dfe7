package group

import "math"

// segments cuts a list into at most k runs of least expected bytes, taking
// the components as independent. The best last cut moves right as the list
// grows, so each row is solved by halving: k * n * log n costs in all.
func segments(list []int, sz []int64, ps []uint64, k int) [][]int {
	n := len(list)
	size := make([]int64, n+1)
	risk := make([]uint64, n+1)
	for i, c := range list {
		size[i+1] = size[i] + sz[c]
		risk[i+1] = risk[i] + hazard(one-ps[c])
	}
	cost := func(i, j int) int64 { return share(size[j]-size[i], one-survival(risk[j]-risk[i])) }
	k = min(k, n)
	best := make([]int64, n+1)
	for j := range best {
		best[j] = math.MaxInt64 / 2
	}
	best[0] = 0
	cut := make([][]int32, k)
	for l := range k {
		next := make([]int64, n+1)
		cut[l] = make([]int32, n+1)
		next[0] = math.MaxInt64 / 2
		var solve func(lo, hi, from, to int)
		solve = func(lo, hi, from, to int) {
			if lo > hi {
				return
			}
			j := (lo + hi) / 2
			b, at := int64(math.MaxInt64), from
			for i := from; i <= min(to, j-1); i++ {
				if v := best[i] + cost(i, j); v < b {
					b, at = v, i
				}
			}
			next[j], cut[l][j] = b, int32(at)
			solve(lo, j-1, from, at)
			solve(j+1, hi, at, to)
		}
		solve(1, n, 0, n-1)
		best = next
	}
	var out [][]int
	j := n
	for l := k - 1; l >= 0; l-- {
		i := int(cut[l][j])
		out = append(out, list[i:j:j])
		j = i
	}
	return out
}
