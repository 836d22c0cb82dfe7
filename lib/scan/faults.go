package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"chunkah/format"
)

// FaultKind is what is wrong with a path.
type FaultKind int

// The kinds, in the order in which they are told.
const (
	FaultUnreadable FaultKind = iota
	FaultSpecial              // a special file that nobody said what to do with
	FaultOverlay              // an overlayfs whiteout: a character device 0/0
	FaultWhiteout             // a name that deletes files in an image
	FaultXattr                // an xattr whose name no tar holds
	FaultDeep                 // a path longer than a stream's
)

// kinds says what people are told of each kind.
var kinds = [...]struct{ noun, hint string }{
	FaultUnreadable: {"unreadable path", "run as root or as the owner, or use --prune"},
	FaultSpecial:    {"special file", "use --prune, --skip-special-files or --keep-special-files"},
	FaultOverlay: {"overlayfs whiteout", "no image can hold a character device 0/0: " +
		"use --prune or --skip-special-files, or scan the mounted file system"},
	FaultWhiteout: {"whiteout name", "in an image, .wh. deletes files: rename, or use --prune"},
	FaultXattr:    {"unusable xattr name", "a tar holds neither = in it nor what is not UTF-8: remove the xattr"},
	FaultDeep: {"overlong path", fmt.Sprintf("an image holds %d bytes and %d names: use --prune with the start of it",
		format.MaxPath, format.MaxDepth)},
}

// Fault is a path that no image can have as it is.
type Fault struct {
	Kind FaultKind
	Path string
	What string // more of it, where there is more to say
}

// faults gathers what may be wrong with many files at once, so that people see all of it and not
// one path a run.
type faults []Fault

// unlessDenied returns an error that ends the walk, and keeps one that other files may share.
func (f *faults) unlessDenied(path string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	f.add(FaultUnreadable, path, "")
	return nil
}

func (f *faults) add(kind FaultKind, path, what string) {
	*f = append(*f, Fault{Kind: kind, Path: path, What: what})
}

// shown is how much of a path that is too long is shown, in bytes.
const shown = 200

// tooLong notes a path that no stream holds.
func (f *faults) tooLong(path string) {
	what := fmt.Sprintf("%d bytes, %d names", len(path), strings.Count(path, "/"))
	f.add(FaultDeep, path[:min(len(path), shown)]+"…", what)
}

// FaultsError lists all the paths that share a fault.
type FaultsError struct {
	// Faults are by kind, and by path within one.
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

// Lines are one for each kind and an indented one for each path.
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
		lines = append(lines, fmt.Sprintf("finding %d %s: %s", n, noun, kind.hint))
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

// quote shows a path as it is where it has nothing odd in it, so that every path takes one line.
func quote(path string) string {
	if q := fmt.Sprintf("%q", path); q[1:len(q)-1] != path {
		return q
	}
	return path
}
