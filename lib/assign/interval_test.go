package assign

import (
	"strconv"
	"testing"

	"chunkah/format"
	"chunkah/tests/bound"
)

// FuzzParseInterval checks that any string is either refused or parsed as a number of days that
// fits into a stream, and that parsing this number again returns the same number.
func FuzzParseInterval(f *testing.F) {
	for _, text := range []string{"daily", "quarterly", "7", "+7", "007", "0", "-1", "1.5", "18446744073709551616", "weekly\n", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bound.Input(t, len(text))
		days, err := ParseInterval(text)
		if err != nil {
			return
		}
		if days < 1 || days > format.MaxInt {
			t.Fatalf("%q is %d days", text, days)
		}
		if again, err := ParseInterval(strconv.FormatInt(days, 10)); err != nil || again != days {
			t.Errorf("%q is %d days, and those are %d, %v", text, days, again, err)
		}
	})
}
