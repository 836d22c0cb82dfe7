package ruby

import (
	"strings"
	"time"

	"chunkah/lib/repo/places"
)

const (
	// maxSpec is the largest size of a specification, in bytes. The longest specifications list
	// thousands of files.
	maxSpec = 4 << 20
	// maxLine is the longest line that is parsed, in bytes.
	maxLine = 64 << 10
	// maxExecutables is the largest number of executables in one gem.
	maxExecutables = 256
)

// spec contains the fields of a specification that are used.
type spec struct {
	name        string // "" if the specification contains no name
	executables []string
	version     string
	licenses    []string
	released    time.Time
}

// parse parses the lines that RubyGems always writes in the same form. It does not run the
// specification, which is a Ruby program.
//
//	# stub: rake 13.0.6 ruby lib
//	  s.executables = ["rake".freeze]
func parse(text string) (s spec) {
	for line := range strings.Lines(text) {
		if len(line) > maxLine {
			continue
		}
		line = strings.TrimSpace(line)
		if stub, found := strings.CutPrefix(line, "# stub: "); found && s.name == "" {
			if fields := strings.Fields(stub); len(fields) >= 2 && isName(fields[0]) {
				s.name, s.version = fields[0], fields[1]
			}
		}
		if list, found := strings.CutPrefix(line, "s.executables = ["); found && s.executables == nil {
			s.executables = quoted(list)
		}
		if date, found := strings.CutPrefix(line, `s.date = "`); found && s.released.IsZero() {
			date, _, _ = strings.Cut(date, `"`)
			s.released = places.ParseTime(date, time.DateOnly)
		}
		if list, found := strings.CutPrefix(line, "s.licenses = ["); found && s.licenses == nil {
			s.licenses = quoted(list)
		}
	}
	return s
}

// quoted returns the double-quoted names before the closing bracket.
func quoted(list string) (names []string) {
	list, _, _ = strings.Cut(list, "]")
	for len(names) < maxExecutables {
		_, rest, found := strings.Cut(list, `"`)
		name, rest, closed := strings.Cut(rest, `"`)
		if !found || !closed {
			return names
		}
		if isName(name) {
			names = append(names, name)
		}
		list = rest
	}
	return names
}

// isName reports whether name is a valid file name.
func isName(name string) bool {
	return name != "" && name[0] != '.' && !strings.ContainsAny(name, "/\\\x00")
}

// nameOf returns NAME from NAME-VERSION or NAME-VERSION-PLATFORM.
func nameOf(full string) string {
	for i := 1; i < len(full)-1; i++ {
		if full[i] == '-' && '0' <= full[i+1] && full[i+1] <= '9' {
			return full[:i]
		}
	}
	return full
}
