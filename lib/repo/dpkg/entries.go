package dpkg

import (
	"slices"

	"chunkah/lib/repo/pkgdb"
)

// Entry contains the fields of a status entry that other repos need.
type Entry struct {
	Name, Source string // Source is Name if the entry has none
	Version      string
	Arch         string
	State        string // the last word of Status: "installed"
	Conffiles    []string
	Faults       []string
	Line         int  // number of the entry's first line
	Whole        bool // the entry is complete: it has an end or all required fields
}

// Entries calls visit for each entry in a text. The text has the format of dpkg's status file,
// which other package managers use too.
func Entries(text *pkgdb.Lines, visit func(Entry)) error {
	return parseEntries(text, func(e *entry) {
		out := Entry{
			Name: e.name, Source: e.source, Version: e.version, Arch: e.arch, State: e.state, Line: e.line, Whole: e.closed || e.isWhole(),
			Conffiles: slices.Concat(e.conffiles, e.obsolete),
		}
		for _, f := range e.faults {
			out.Faults = append(out.Faults, f.what)
		}
		visit(out)
	})
}
