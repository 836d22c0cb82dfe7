package yarn

import (
	"bytes"
	"errors"
	"strings"

	"chunkah/format"
)

const (
	// maxLock is the largest size of a yarn.lock, in bytes. A yarn.lock that lists 3000 packages is
	// about 1.5 MB.
	maxLock = 32 << 20
	// maxLine is the longest line of a yarn.lock that is parsed, in bytes.
	maxLine = 64 << 10
)

// lock contains the data about packages from yarn.lock files.
type lock struct {
	bySlug       map[string]*entry
	byDescriptor map[string]*entry // NAME@RANGE
	byName       map[string]*entry // the first entry with each name
	workspaces   []*entry          // the packages of the projects themselves
}

// entry is one version of a package.
type entry struct {
	name  string
	needs []need // in the order of the file, which is sorted by name
}

// need is a package that another package needs.
type need struct{ name, wanted string }

func newLock() *lock {
	return &lock{
		bySlug: make(map[string]*entry), byDescriptor: make(map[string]*entry), byName: make(map[string]*entry),
	}
}

// find returns the entry to which a need was resolved, or nil if no entry matches. In old files, a
// range contains no protocol. A patched package uses a different protocol, so only its name is
// compared.
func (l *lock) find(n need) *entry {
	for _, descriptor := range []string{n.name + "@" + n.wanted, n.name + "@npm:" + n.wanted} {
		if e := l.byDescriptor[descriptor]; e != nil {
			return e
		}
	}
	return l.byName[n.name]
}

// parse adds a yarn.lock of Yarn 2 or later: entries with indented fields.
//
//	"debug@npm:2.6.9, debug@npm:^2.6.8":
//	  version: 2.6.9
//	  resolution: "debug@npm:2.6.9"
//	  dependencies:
//	    ms: "npm:2.0.0"
func (l *lock) parse(raw []byte) error {
	var at *entry
	var descriptors []string
	section, found := "", false
	for line := range bytes.Lines(raw) {
		text := string(bytes.TrimRight(line[:min(len(line), maxLine)], "\r\n"))
		key, value := field(text)
		switch {
		case key == "" || text[0] == '#':
		case text[0] != ' ':
			at, descriptors, section = &entry{}, strings.Split(key, ", "), ""
		case at != nil && strings.HasPrefix(text, "    "):
			if section == "dependencies" && isName(key) {
				at.needs = append(at.needs, need{key, value})
			}
		case at != nil && key == "resolution":
			found = l.add(at, value, descriptors) || found
		default:
			section = key
		}
	}
	if !found && len(bytes.TrimSpace(raw)) > 0 {
		return errors.New("contains no packages: not a lock file of Yarn 2 or later")
	}
	return nil
}

// add adds an entry that was resolved to NAME@PROTOCOL:SELECTOR.
func (l *lock) add(e *entry, resolution string, descriptors []string) bool {
	scope := ""
	if strings.HasPrefix(resolution, "@") {
		scope = "@"
	}
	name, reference, found := strings.Cut(resolution[len(scope):], "@")
	if e.name = scope + name; !found || !isName(e.name) {
		return false
	}
	protocol, selector, _ := strings.Cut(reference, ":")
	if protocol == "workspace" {
		l.workspaces = append(l.workspaces, e)
		return true
	}
	slug := strings.Replace(e.name, "/", "-", 1) + "-" + protocol
	if protocol == "npm" {
		slug += "-" + selector
	}
	for _, descriptor := range descriptors {
		l.byDescriptor[descriptor] = e
	}
	if l.bySlug[slug] == nil {
		l.bySlug[slug] = e
	}
	if l.byName[e.name] == nil {
		l.byName[e.name] = e
	}
	return true
}

// field splits a line into key and value, without quotes. The key is empty if the line contains no
// key.
func field(line string) (key, value string) {
	line = strings.TrimLeft(line, " ")
	if rest, quoted := strings.CutPrefix(line, `"`); quoted {
		key, value, _ = strings.Cut(rest, `":`)
	} else {
		key, value, _ = strings.Cut(line, ":")
	}
	return key, strings.Trim(strings.TrimSpace(value), `"`)
}

// isName reports whether a package can have this name: "name" or "@scope/name".
func isName(name string) bool {
	scope, rest, scoped := strings.Cut(name, "/")
	if scoped && (len(scope) < 2 || scope[0] != '@') {
		return false
	}
	last := name
	if scoped {
		last = rest
	}
	return last != "" && last[0] != '.' && len(name) <= format.MaxName && !strings.ContainsAny(last, "/\x00")
}
