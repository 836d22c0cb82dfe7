package doctor

import (
	"path"
	"strings"
)

// rule is one pattern of a check.
type rule struct {
	check   *check
	top     string // the first name, which is no pattern
	pattern string // what follows, in the form of path.Match, name by name
	below   bool   // stands for all that is below it
}

// newRule reads a pattern: an absolute path, each name of which may be a pattern of path.Match but
// the first; with a slash at its end it stands for all below it.
func newRule(c *check, pattern string) rule {
	rest, below := strings.CutSuffix(pattern[1:], "/")
	top, rest, _ := strings.Cut(rest, "/")
	return rule{check: c, top: top, pattern: rest, below: below}
}

// match reports whether the rule is for a path, the first name of which is the rule's; and what
// would have to be left out to be rid of it.
func (r rule) match(name string) (target string, found bool) {
	at := 1 + len(r.top) // behind what of the path has matched
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
