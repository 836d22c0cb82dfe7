package doctor

import (
	"path"
	"strings"
)

// rule is one pattern from a check.
type rule struct {
	check   *check
	top     string // the first element, taken literally
	pattern string // the other elements, each matched by path.Match
	below   bool   // matches everything below the path
}

// newRule parses a pattern, which is an absolute path. Its elements, except the first, are patterns
// for path.Match. With a trailing slash it matches everything below.
func newRule(c *check, pattern string) rule {
	rest, below := strings.CutSuffix(pattern[1:], "/")
	top, rest, _ := strings.Cut(rest, "/")
	return rule{check: c, top: top, pattern: rest, below: below}
}

// match reports whether the rule matches a path that starts with the rule's first element. It also
// returns the path to leave out.
func (r rule) match(name string) (target string, found bool) {
	at := 1 + len(r.top) // end of the part that has matched
	for rest := r.pattern; rest != ""; {
		var want string
		want, rest, _ = strings.Cut(rest, "/")
		if at >= len(name) {
			return "", false
		}
		got, _, _ := strings.Cut(name[at+1:], "/")
		if ok, err := path.Match(want, got); err != nil || !ok {
			return "", false
		}
		at += 1 + len(got)
	}
	if r.below {
		if at >= len(name) {
			return "", false
		}
		return name[:at+1], true
	}
	return name, at == len(name)
}
