package format

import (
	"math/big"
	"strconv"
)

// maxNumber is the largest size of a number's text, in bytes. 2^53-1 has 16 digits. The rest leaves
// room for a fraction of zeros and an exponent.
const maxNumber = 64

// integer reads an integer within ±(2^53-1) in any notation. For example, 12, 12.0 and 1.2e1 are
// the same.
func (d *jsonDecoder) integer() int64 {
	c := d.peek()
	if d.err != nil {
		return 0
	}
	if c != '-' && (c < '0' || c > '9') {
		d.fail(syntaxOrValue(c, "a number"))
		return 0
	}
	start := d.pos
	end := start
	for end < len(d.buf) && numberByte(d.buf[end]) {
		end++
	}
	if end == len(d.buf) {
		d.fail(errShort)
		return 0
	}
	d.pos = end
	n, err := parseInteger(d.buf[start:end])
	d.fail(err)
	return n
}

func numberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func parseInteger(s []byte) (int64, error) {
	digits, negative := s, false
	if s[0] == '-' {
		digits, negative = s[1:], true
	}
	if len(digits) == 0 || len(digits) > 15 || digits[0] == '0' && len(digits) > 1 {
		return parseAnyInteger(s)
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return parseAnyInteger(s)
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, nil
}

// parseAnyInteger parses an integer in one of the rare notations.
func parseAnyInteger(s []byte) (int64, error) {
	if len(s) > maxNumber {
		return 0, limitf("a number is longer than %d bytes", maxNumber)
	}
	if !validNumber(s) {
		return 0, syntaxf("%q is not a number", s)
	}
	// The float64 is only used to check the size, because exact arithmetic with a large exponent
	// would need much memory.
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil || f > 2*MaxInt || f < -2*MaxInt {
		return 0, limitf("%s is beyond 2^53-1", s)
	}
	if f == 0 && onlyZeros(s) {
		return 0, nil
	}
	if f > -0.5 && f < 0.5 {
		return 0, valuef("%s is not an integer", s)
	}
	r, ok := new(big.Rat).SetString(string(s))
	if !ok || !r.IsInt() {
		return 0, valuef("%s is not an integer", s)
	}
	if n := r.Num(); n.IsInt64() && inRange(n.Int64()) {
		return n.Int64(), nil
	}
	return 0, limitf("%s is beyond 2^53-1", s)
}

// onlyZeros reports whether all digits before an exponent are zeros.
func onlyZeros(s []byte) bool {
	for _, c := range s {
		if c == 'e' || c == 'E' {
			return true
		}
		if c >= '1' && c <= '9' {
			return false
		}
	}
	return true
}

// validNumber checks the grammar of RFC 8259, section 6.
func validNumber(s []byte) bool {
	i := 0
	digits := func() int {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i - start
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	first := i
	if n := digits(); n == 0 || n > 1 && s[first] == '0' {
		return false
	}
	if i < len(s) && s[i] == '.' {
		i++
		if digits() == 0 {
			return false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if digits() == 0 {
			return false
		}
	}
	return i == len(s)
}
