package sbom

import (
	_ "embed" // for the lists
	"regexp"
	"strings"
	"sync"
)

// The identifiers in the SPDX License List 3.28 (CC0), one per line.
//
//go:embed licenses.txt
var licenseList string

//go:embed exceptions.txt
var exceptionList string

var known = sync.OnceValues(func() (licenses, exceptions map[string]bool) {
	return set(licenseList), set(exceptionList)
})

func set(list string) map[string]bool {
	m := make(map[string]bool)
	for name := range strings.Lines(list) {
		m[strings.TrimSpace(name)] = true
	}
	return m
}

var tokens = regexp.MustCompile(`[()]|[^\s()]+`)

// isExpression reports whether text is an SPDX licence expression with known licences (SPDX 2.3,
// annex D). Operators must be in upper case. Package databases also contain licences that are not
// such expressions.
func isExpression(text string) bool {
	e := expression{tokens: tokens.FindAllString(text, maxTokens+1)}
	return len(e.tokens) <= maxTokens && e.compound() && len(e.tokens) == 0
}

// maxTokens is the largest number of tokens in an expression, which also limits its depth.
const maxTokens = 256

// expression contains the tokens that are not parsed yet.
type expression struct{ tokens []string }

func (e *expression) take(want string) bool {
	if len(e.tokens) == 0 || e.tokens[0] != want {
		return false
	}
	e.tokens = e.tokens[1:]
	return true
}

func (e *expression) compound() bool {
	for e.simple() {
		if !e.take("AND") && !e.take("OR") {
			return true
		}
	}
	return false
}

func (e *expression) simple() bool {
	if e.take("(") {
		return e.compound() && e.take(")")
	}
	licenses, exceptions := known()
	if !e.in(licenses) {
		return false
	}
	return !e.take("WITH") || e.in(exceptions)
}

func (e *expression) in(list map[string]bool) bool {
	if len(e.tokens) == 0 || !list[e.tokens[0]] && !list[strings.TrimSuffix(e.tokens[0], "+")] {
		return false
	}
	e.tokens = e.tokens[1:]
	return true
}
