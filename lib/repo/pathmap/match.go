package pathmap

import (
	"strings"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/assign"
)

// matcher finds the most specific entry for each record.
type matcher struct {
	tree   *assign.Tree
	best   []rank // by record
	effort int    // number of names compared and of records assigned to entries
}

// rank describes how specifically an entry names a file.
type rank struct {
	entry   int32 // -1 for none
	itself  bool  // the entry names the file itself, without a pattern
	literal int16 // number of names that are not patterns
	names   int16 // number of names except "**"
}

// less reports whether b takes precedence over a. If the ranks are equal, the later entry takes
// precedence.
func (a rank) less(b rank) bool {
	switch {
	case a.entry < 0 || a.itself != b.itself:
		return a.entry < 0 || b.itself
	case a.literal != b.literal:
		return a.literal < b.literal
	}
	return a.names <= b.names
}

func newMatcher(t *assign.Tree) *matcher {
	m := &matcher{tree: t, best: make([]rank, len(t.Files))}
	for i := range m.best {
		m.best[i].entry = -1
	}
	return m
}

// match applies entry number e and reports whether it matches anything.
func (m *matcher) match(e int, path string) (bool, error) {
	names := strings.Split(path[1:], "/")
	if path == "/" {
		names = nil
	}
	r := rank{entry: int32(e)}
	for _, name := range names {
		if name != "**" {
			r.names++
		}
		if !isPattern(name) {
			r.literal++
		}
	}
	i, found, err := m.tree.Find(path)
	if err != nil {
		return false, err
	}
	if found {
		r.literal = r.names // even if it contains pattern characters
		r.itself = true
		m.claim(i, r)
		return true, m.check()
	}
	first := 0
	for first < len(names) && !isPattern(names[first]) {
		first++
	}
	if first == len(names) {
		return false, nil
	}
	return m.matchPattern(r, "/"+strings.Join(names[:first], "/"), names[first:])
}

// claim assigns a record, and everything below it, to an entry. It returns the index of the first
// record that is not below that record.
func (m *matcher) claim(i int, r rank) int {
	m.offer(i, r)
	if m.tree.Files[i].Type != format.TypeDir {
		return i + 1
	}
	r.itself = false
	_, to := m.tree.Below(m.tree.Files[i].Path)
	m.effort += to - i
	for i++; i < to; i++ {
		m.offer(i, r)
	}
	return i
}

// check returns an error if the work exceeds maxEffort.
func (m *matcher) check() error {
	if m.effort > maxEffort {
		return errEffort
	}
	return nil
}

func (m *matcher) offer(i int, r rank) {
	if m.best[i].less(r) {
		m.best[i] = r
	}
}

// matchPattern claims files below dir that match names.
func (m *matcher) matchPattern(r rank, dir string, names []string) (matched bool, err error) {
	if dir, err = m.resolve(dir); err != nil {
		return false, err
	}
	skip := len(format.Join(dir, ""))
	var below []string
	for i, to := m.tree.Below(dir); i < to; {
		below = appendNames(below[:0], m.tree.Files[i].Path[skip:])
		m.effort += min(len(below), len(names))
		if err := m.check(); err != nil {
			return false, err
		}
		if matchNames(names, below) {
			matched = true
			i = m.claim(i, r)
			continue
		}
		i++
	}
	return matched, nil
}

// resolve returns the physical path of a directory. Other paths are returned unchanged, because no
// records are below them.
func (m *matcher) resolve(dir string) (string, error) {
	i, found, err := m.tree.Find(dir)
	if !found {
		return dir, err
	}
	f := m.tree.Files[i]
	if f.Type == format.TypeSymlink {
		target, err := m.tree.Resolve(f.Path)
		if err != nil || target != "" {
			return target, err
		}
	}
	return f.Path, nil
}

func appendNames(list []string, path string) []string {
	for {
		name, rest, more := strings.Cut(path, "/")
		list = append(list, name)
		if !more {
			return list
		}
		path = rest
	}
}

func isPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// matchNames matches the names of a path with patterns. A "**" first matches no name. Each time the
// rest of the pattern does not match, the "**" matches one more name. Only the last "**" has to be
// tried again, because it can match every name that an earlier "**" could match.
func matchNames(patterns, names []string) bool {
	p, n := 0, 0
	retryP, retryN := -1, 0
	for n < len(names) {
		switch {
		case p < len(patterns) && patterns[p] == "**":
			retryP, retryN = p, n
			p++
			continue
		case p < len(patterns) && matchName(patterns[p], names[n]):
			p++
			n++
			continue
		case retryP < 0:
			return false
		}
		retryN++
		p, n = retryP+1, retryN
	}
	for p < len(patterns) && patterns[p] == "**" {
		p++
	}
	return p == len(patterns)
}

// matchName matches one name in the same way as matchNames.
func matchName(pattern, name string) bool {
	p, n := 0, 0
	retryP, retryN := -1, 0
	for n < len(name) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				retryP, retryN = p, n
				p++
				continue
			}
			if took, patternLength, ok := matchOne(pattern[p:], name[n:]); ok {
				p += took
				n += patternLength
				continue
			}
		}
		if retryP < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(name[retryN:])
		retryN += size
		p, n = retryP+1, retryN
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches the first character of name with the first element of a non-empty pattern. It
// returns the lengths of the matched text and of the pattern element.
func matchOne(pattern, name string) (took, patternLength int, ok bool) {
	c, size := utf8.DecodeRuneInString(name)
	switch pattern[0] {
	case '?':
		return 1, size, true
	case '[':
		if took, ok, closed := matchClass(pattern, c); closed {
			return took, size, ok
		}
	}
	want, length := utf8.DecodeRuneInString(pattern)
	return length, size, want == c && pattern[:length] == name[:size]
}

// matchClass matches a character with a class, "[a-z_]" or "[!a-z_]". closed is false if the class
// has no closing bracket.
func matchClass(pattern string, c rune) (took int, ok, closed bool) {
	at := 1
	negated := at < len(pattern) && (pattern[at] == '!' || pattern[at] == '^')
	if negated {
		at++
	}
	for first := true; at < len(pattern); first = false {
		if pattern[at] == ']' && !first {
			return at + 1, ok != negated, true
		}
		low, size := utf8.DecodeRuneInString(pattern[at:])
		at += size
		high := low
		if rest := pattern[at:]; len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
			high, size = utf8.DecodeRuneInString(rest[1:])
			at += 1 + size
		}
		ok = ok || low <= c && c <= high
	}
	return 0, false, false
}
