package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"chunkah/format"
)

// faults gathers what may be wrong with many files at once, so that people see
// all of it and not one path a run.
type faults struct {
	unreadable []fault
	special    []fault
	overlay    []fault
	whiteouts  []fault
	xattrs     []fault
	deep       []fault
}

// fault is a path with what is to be said of it, if anything.
type fault struct{ path, what string }

// unlessDenied returns an error that ends the walk, and keeps one that other files
// may share.
func (f *faults) unlessDenied(path string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	f.unreadable = append(f.unreadable, fault{path: path})
	return nil
}

// add takes over the faults of one directory.
func (f *faults) add(more *faults) {
	f.unreadable = append(f.unreadable, more.unreadable...)
	f.special = append(f.special, more.special...)
	f.overlay = append(f.overlay, more.overlay...)
	f.whiteouts = append(f.whiteouts, more.whiteouts...)
	f.xattrs = append(f.xattrs, more.xattrs...)
	f.deep = append(f.deep, more.deep...)
}

// shown is how much of a path that is too long is shown, in bytes.
const shown = 200

// tooLong notes a path that no stream holds.
func (f *faults) tooLong(path string) {
	f.deep = append(f.deep, fault{path[:min(len(path), shown)] + "…", fmt.Sprintf("%d bytes, %d names", len(path), strings.Count(path, "/"))})
}

// FaultsError lists all the paths that share a fault.
type FaultsError struct{ lines []string }

func (e *FaultsError) Error() string { return strings.Join(e.lines, "\n") }

func (f *faults) err() error {
	e := &FaultsError{}
	e.add(f.unreadable, "unreadable path", "run as root or as the owner, or use --prune")
	e.add(f.special, "special file", "use --prune, --skip-special-files or --keep-special-files")
	e.add(f.overlay, "overlayfs whiteout", "no image can hold a character device 0/0: "+
		"use --prune or --skip-special-files, or scan the mounted file system")
	e.add(f.whiteouts, "whiteout name", "in an image, .wh. deletes files: rename, or use --prune")
	e.add(f.xattrs, "unusable xattr name", "a tar holds neither = in it nor what is not UTF-8: remove the xattr")
	e.add(f.deep, "overlong path", fmt.Sprintf("an image holds %d bytes and %d names: use --prune with the start of it", format.MaxPath, format.MaxDepth))
	if e.lines == nil {
		return nil
	}
	return e
}

func (e *FaultsError) add(list []fault, noun, hint string) {
	if len(list) == 0 {
		return
	}
	if len(list) > 1 {
		noun += "s"
	}
	e.lines = append(e.lines, fmt.Sprintf("finding %d %s: %s", len(list), noun, hint))
	slices.SortStableFunc(list, func(a, b fault) int { return format.ComparePaths(a.path, b.path) })
	for _, f := range list {
		line := "  " + quote(f.path)
		if f.what != "" {
			line += " (" + f.what + ")"
		}
		e.lines = append(e.lines, line)
	}
}

// quote shows a path as it is where it has nothing odd in it, so that every path
// takes one line.
func quote(path string) string {
	if q := fmt.Sprintf("%q", path); q[1:len(q)-1] != path {
		return q
	}
	return path
}
