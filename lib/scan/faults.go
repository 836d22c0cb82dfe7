package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// faults gathers what may be wrong with many files at once, so that people see
// all of it and not one path a run.
type faults struct {
	unreadable []string
	special    []string
	whiteouts  []string
	xattrs     []string
}

// add keeps an error that other files may share; false is one that ends the
// walk.
func (f *faults) add(path string, err error) bool {
	if !errors.Is(err, fs.ErrPermission) {
		return false
	}
	f.unreadable = append(f.unreadable, path)
	return true
}

func (f *faults) whiteout(path string) { f.whiteouts = append(f.whiteouts, path) }

func (f *faults) xattr(path, name string) {
	f.xattrs = append(f.xattrs, fmt.Sprintf("%s (%q)", quote(path), name))
}

// FaultsError lists all the paths that share a fault.
type FaultsError struct{ lines []string }

func (e *FaultsError) Error() string { return strings.Join(e.lines, "\n") }

func (f *faults) err() error {
	e := &FaultsError{}
	e.add(f.unreadable, "cannot be read: run as their owner or as root, or --prune them")
	e.add(f.special, "are special files: --prune them, or use --skip-special-files or --keep-special-files")
	e.add(f.whiteouts, "have names that delete files in an image (.wh.): rename or --prune them")
	e.add(f.xattrs, "have xattrs whose names a tar cannot hold: remove them")
	if e.lines == nil {
		return nil
	}
	return e
}

func (e *FaultsError) add(paths []string, what string) {
	if len(paths) == 0 {
		return
	}
	e.lines = append(e.lines, fmt.Sprintf("%d paths %s:", len(paths), what))
	for _, path := range paths {
		e.lines = append(e.lines, "  "+path)
	}
}

// special decides about a socket, FIFO or device: true takes it in.
func (w *walker) special(f *format.File, kind uint32, st rootfs.Stat) bool {
	var what string
	switch kind {
	case unix.S_IFIFO:
		f.Type, what = format.TypeFifo, "FIFO"
	case unix.S_IFCHR:
		f.Type, what = format.TypeChar, "character device"
	case unix.S_IFBLK:
		f.Type, what = format.TypeBlock, "block device"
	default:
		what = "socket"
	}
	if kind == unix.S_IFCHR && st.RdevMajor == 0 && st.RdevMinor == 0 {
		if w.opt.Special != SpecialSkip {
			w.faults.special = append(w.faults.special, quote(f.Path)+" (character device 0/0: an overlayfs whiteout, which no image can hold)")
			return false
		}
		what = "overlayfs whiteout"
	}
	switch {
	case w.opt.Special == SpecialSkip:
		w.report.skip(what)
		return false
	case w.opt.Special == SpecialKeep && f.Type != "":
		f.DevMajor, f.DevMinor = st.RdevMajor, st.RdevMinor
		return true
	case w.opt.Special == SpecialKeep:
		w.report.skip("socket: a tar has none")
		return false
	}
	w.faults.special = append(w.faults.special, fmt.Sprintf("%s (%s)", quote(f.Path), what))
	return false
}

// quote shows a path as it is where it has nothing odd in it.
func quote(path string) string {
	if q := fmt.Sprintf("%q", path); q[1:len(q)-1] != path {
		return q
	}
	return path
}
