package format

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestNumberSpellings(t *testing.T) {
	for _, test := range []struct {
		text  string
		want  int64
		class Class // "" for a valid number
	}{
		{"0", 0, ""}, {"-0", 0, ""}, {"0.0", 0, ""}, {"-0e9", 0, ""}, {"0e-999999999", 0, ""}, {"0.00E+999999999", 0, ""},
		{"7", 7, ""}, {"-7", -7, ""}, {"7.000", 7, ""}, {"70e-1", 7, ""}, {"0.7e1", 7, ""}, {"0.0007E+4", 7, ""},
		{"123456789012345", 123456789012345, ""}, {"1234567890123456", 1234567890123456, ""},
		{"9007199254740991", MaxInt, ""}, {"-9007199254740991", -MaxInt, ""},
		{"9.007199254740991e15", MaxInt, ""}, {"9007199254740991000e-3", MaxInt, ""},
		{"1." + strings.Repeat("0", 62), 1, ""},
		{"9007199254740992", 0, ClassLimit}, {"-9007199254740992", 0, ClassLimit}, {"1e16", 0, ClassLimit},
		{"1e308", 0, ClassLimit}, {"1e309", 0, ClassLimit}, {"-1e999999999", 0, ClassLimit},
		{"1" + strings.Repeat("0", 64), 0, ClassLimit}, {"1." + strings.Repeat("0", 63), 0, ClassLimit},
		{"0.5", 0, ClassValue}, {"1.5", 0, ClassValue}, {"-1e-1", 0, ClassValue}, {"1e-999999999", 0, ClassValue},
		// The nearest float64 is an integer.
		{"1.00000000000000000001", 0, ClassValue}, {"9007199254740990.5", 0, ClassValue},
		{"01", 0, ClassSyntax}, {"-", 0, ClassSyntax}, {"1.", 0, ClassSyntax}, {"1e", 0, ClassSyntax}, {"1e+", 0, ClassSyntax},
		{"1-1", 0, ClassSyntax}, {"--1", 0, ClassSyntax}, {"-01", 0, ClassSyntax}, {"1.2.3", 0, ClassSyntax}, {"1e1e1", 0, ClassSyntax},
		{"-.5", 0, ClassSyntax},
	} {
		got, err := parseInteger([]byte(test.text))
		if got != test.want || classOf(err) != test.class {
			t.Errorf("%s: got %d, class %q (%v), want %d, class %q", test.text, got, classOf(err), err, test.want, test.class)
		}
	}
}

func TestNumbersAsFloatsPrintThem(t *testing.T) {
	for range 10_000 {
		want := rand.Int64N(2*MaxInt+1) - MaxInt
		want >>= rand.IntN(54)
		for _, layout := range []string{"%.0f", "%.16e", "%.1f", "%.20E"} {
			text := fmt.Sprintf(layout, float64(want))
			if got, err := parseInteger([]byte(text)); err != nil || got != want {
				t.Fatalf("%s: got %d, %v, want %d", text, got, err, want)
			}
		}
	}
}
