package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"chunkah/lib/console"
)

// units of a size, in bytes.
var units = map[string]int64{
	"": 1, "b": 1,
	"k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseBytes parses a size such as 500MB, 10GiB or 4096.
func parseBytes(s string) (int64, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, known := units[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	if err != nil || !known || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size", s)
	}
	return n * unit, nil
}

// bytesText formats a size in decimal units.
func bytesText(n int64) string { return console.Bytes(n) }

// plural formats a count with its noun.
func plural[N int | int64](n N, what string) string { return console.Plural(n, what) }
