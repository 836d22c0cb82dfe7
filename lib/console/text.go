package console

import (
	"fmt"
	"strings"
)

// Bytes formats a size in decimal units.
func Bytes(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	x, unit := float64(n), 0
	for x >= 1000 && unit < 4 {
		x, unit = x/1000, unit+1
	}
	return fmt.Sprintf("%.1f %s", x, []string{"", "kB", "MB", "GB", "TB"}[unit])
}

// Plural formats a count and a noun, for example 1 layer or 2 layers.
func Plural[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Percent formats parts per million as a percentage with two decimals. It rounds down, so that only
// a certain event is shown as 100.00%.
func Percent(ppm int64) string { return fmt.Sprintf("%d.%02d%%", ppm/10_000, ppm/100%100) }

// longestList is the largest number of items in a list in the summary. With -v the whole list is
// printed.
const longestList = 5

// List joins the items of a list. Items after the first few are only counted.
func List(parts []string) string {
	if len(parts) > longestList {
		parts = append(parts[:longestList:longestList], fmt.Sprintf("and %d more", len(parts)-longestList))
	}
	return strings.Join(parts, ", ")
}
