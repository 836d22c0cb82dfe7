package manual

import "strings"

// Closest returns the choice that a misspelt name probably means, or "" if no choice is similar. It
// looks, in this order, for a choice that the name abbreviates, that differs from the name by a
// typo, that shares words with the name, or that is similar to it. If several choices match, it
// returns the most similar, and among equally similar choices the first.
func Closest(name string, choices []string) string {
	for _, c := range choices {
		if len(name) >= 3 && strings.HasPrefix(c, name) {
			return c
		}
	}
	near, least := nearest(name, choices)
	if least <= longestTypo {
		return near
	}
	if related := sameStem(name, choices); related != "" {
		return related
	}
	if least < min(len(name), longestName)/3+2 {
		return near
	}
	return ""
}

// longestTypo is the largest distance between names that differ only by a typo. Most words with
// different meanings are further apart.
const longestTypo = 1

// nearest returns the most similar choice and its distance.
func nearest(name string, choices []string) (best string, least int) {
	least = longestName
	for _, c := range choices {
		if d := distance(name, c); d < least {
			best, least = c, d
		}
	}
	return best, least
}

// sameStem returns the choice that shares the most words with a name, or "" if none shares one.
func sameStem(name string, choices []string) string {
	var related []string
	most := 1
	for _, c := range choices {
		switch n := sharedWords(name, c); {
		case n > most:
			most, related = n, []string{c}
		case n == most:
			related = append(related, c)
		}
	}
	best, _ := nearest(name, related)
	return best
}

// shortestStem is the length of the shortest word that distinguishes options. Words such as "no"
// and "to" do not.
const shortestStem = 3

// sharedWords counts the words that occur in both names. It ignores their endings.
func sharedWords(a, b string) (n int) {
	if len(a) > longestName {
		return 0
	}
	for x := range strings.SplitSeq(a, "-") {
		for y := range strings.SplitSeq(b, "-") {
			if short := min(len(x), len(y)); short >= shortestStem && x[:short] == y[:short] && max(len(x), len(y)) <= short+longestEnding {
				n++
				break
			}
		}
	}
	return n
}

// longestEnding is the length of the longest ending that is ignored, for example in "compress" and
// "compression".
const longestEnding = 3

// longestName is the length of the longest name that is compared, which limits the work for
// arbitrary input.
const longestName = 64

// distance returns the number of letters that must be inserted, removed, changed, or swapped with a
// neighbour to turn one name into the other.
func distance(a, b string) int {
	if len(a) > longestName || len(b) > longestName {
		return longestName
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j-1]+same, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
