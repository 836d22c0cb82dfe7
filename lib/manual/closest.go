package manual

import "strings"

// Closest returns the choice that a misspelt name probably means. It is empty if none is similar.
// In this order it looks for a choice that the name abbreviates, that differs by a typo, that
// shares words with the name, and that is similar. Of several choices the most similar one counts,
// or the first one.
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

// longestTypo is the distance of names that differ only by a typo. It is smaller than that of most
// words with another meaning.
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

// shortestStem is the length of the shortest word that says something about an option: "no" and
// "to" do not.
const shortestStem = 3

// sharedWords counts the words of one name that the other has too, whatever their endings.
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

// longestEnding is the length of endings such as in "compress" and "compression".
const longestEnding = 3

// longestName bounds the work for arbitrary names.
const longestName = 64

// distance is the number of letters to insert, remove, change, or swap with their neighbour to turn
// one name into the other.
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
