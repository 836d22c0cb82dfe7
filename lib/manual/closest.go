package manual

import "strings"

// Closest returns the choice that is most similar to a misspelt name, the first one if several are.
// It is empty if none is similar.
func Closest(name string, choices []string) string {
	best, least := "", min(len(name), longestName)/3+2
	for _, c := range choices {
		if len(name) >= 3 && strings.HasPrefix(c, name) {
			return c // an abbreviation
		}
		if d := distance(name, c); d < least {
			best, least = c, d
		}
	}
	return best
}

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
