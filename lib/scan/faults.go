package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"chunkah/format"
)

// FaultKind is the kind of problem with a path.
type FaultKind int

// The kinds, in the order of messages.
const (
	FaultUnreadable FaultKind = iota
	FaultSpecial              // a special file, but no option specifies how to handle it
	FaultOverlay              // an overlayfs whiteout: a character device 0/0
	FaultWhiteout             // a name that deletes files in an image
	FaultXattr                // an xattr whose name a tar cannot store
	FaultDeep                 // a path that is too long for the stream
)

// kinds contains the messages for each kind.
var kinds = [...]struct{ noun, hint string }{
	FaultUnreadable: {"unreadable path", "run as root or as the owner, or use --prune"},
	FaultSpecial:    {"special file", "use --prune, --skip-special-files or --keep-special-files"},
	FaultOverlay: {"overlayfs whiteout", "an image cannot contain a character device 0/0: " +
		"use --prune or --skip-special-files, or scan the mounted file system"},
	FaultWhiteout: {"whiteout name", "in an image, names that begin with .wh. delete files: rename the file, or use --prune"},
	FaultXattr:    {"unusable xattr name", "a tar cannot store names with = in them or not in UTF-8: remove the xattr"},
	FaultDeep: {"overlong path", fmt.Sprintf("the limit is %d bytes and %d names: use --prune on a parent directory",
		format.MaxPath, format.MaxDepth)},
}

// Fault is a path that cannot be stored in an image as it is.
type Fault struct {
	Kind FaultKind
	Path string
	What string // details; can be empty
}

// faults collects problems that many files can have, so that users see all of them in one run.
type faults []Fault

// collectDenied collects errors that many files can have, and returns all others, which end the
// walk.
func (f *faults) collectDenied(path string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	f.add(FaultUnreadable, path, "")
	return nil
}

func (f *faults) add(kind FaultKind, path, what string) {
	*f = append(*f, Fault{Kind: kind, Path: path, What: what})
}

// maxShown is how much of an overlong path is shown, in bytes.
const maxShown = 200

// tooLong adds a path that is too long for the stream.
func (f *faults) tooLong(path string) {
	what := fmt.Sprintf("%d bytes, %d names", len(path), strings.Count(path, "/"))
	f.add(FaultDeep, path[:min(len(path), maxShown)]+"…", what)
}

// FaultsError lists all paths with problems.
type FaultsError struct {
	// Faults are sorted by kind, then by path.
	Faults []Fault
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		if a.Kind != b.Kind {
			return int(a.Kind - b.Kind)
		}
		return format.ComparePaths(a.Path, b.Path)
	})
	return &FaultsError{f}
}

func (e *FaultsError) Error() string { return strings.Join(e.Lines(), "\n") }

// Lines returns one line for each kind, followed by an indented line per path.
func (e *FaultsError) Lines() []string {
	var lines []string
	for rest := e.Faults; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(f Fault) bool { return f.Kind != rest[0].Kind })
		if n < 0 {
			n = len(rest)
		}
		kind := kinds[rest[0].Kind]
		noun := kind.noun
		if n > 1 {
			noun += "s"
		}
		lines = append(lines, fmt.Sprintf("found %d %s: %s", n, noun, kind.hint))
		for _, f := range rest[:n] {
			line := "  " + quote(f.Path)
			if f.What != "" {
				line += " (" + f.What + ")"
			}
			lines = append(lines, line)
		}
		rest = rest[n:]
	}
	return lines
}

// quote returns a path unchanged if it contains only ordinary characters. Otherwise it quotes the
// path, so that every path takes one line.
func quote(path string) string {
	if q := fmt.Sprintf("%q", path); q[1:len(q)-1] != path {
		return q
	}
	return path
}
