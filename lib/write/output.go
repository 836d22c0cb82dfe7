package write

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"chunkah/format"
)

// leaveOutOutput removes the records of files that this build writes or replaces, and of files that
// builds keep, such as a cache. The shell or an earlier run may have created these files before the
// scan. Records are compared by name first, then by inode.
func (w *writer) leaveOutOutput() error {
	outputs := slices.Concat(w.dest.Traits().Files, w.opt.Own)
	if len(outputs) == 0 || w.root == nil {
		return nil
	}
	names := make(map[string]bool)
	for _, info := range outputs {
		names[info.Name()] = true
	}
	for _, name := range w.opt.OutputNames {
		names[name] = true
	}
	var found []*format.File
	for _, l := range w.img.layers {
		for _, f := range l.files {
			if !names[format.Base(f.Path)] {
				continue
			}
			is, err := w.isOutput(f, outputs)
			if err != nil {
				return err
			}
			if is {
				found = append(found, f)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return w.dropOutput(found)
}

func (w *writer) isOutput(f *format.File, outputs []os.FileInfo) (bool, error) {
	if f.Path == "/" {
		return false, nil
	}
	st, err := w.root.Lstat(f.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return false, nil // if the error matters, reading the file reports it
	}
	if err != nil {
		return false, fmt.Errorf("looking for the output: %w", err)
	}
	for _, info := range outputs {
		if sys, ok := info.Sys().(*syscall.Stat_t); ok && sys.Dev == st.Dev && sys.Ino == st.Ino {
			return true, nil
		}
	}
	return false, nil
}

// dropOutput removes the output from all layers. It removes the found records, other hard links to
// their inodes, and everything below them. It also removes layers that become empty.
func (w *writer) dropOutput(found []*format.File) error {
	gone := newOutput(found)
	spare := make(map[int]bool) // layers that contain only shared directories
	known := make(map[string]bool)
	for i := range w.img.layers {
		l := &w.img.layers[i]
		kept, dropped := gone.split(l.files)
		for _, f := range dropped {
			if gone.itself(f) {
				w.report.LeftOut = append(w.report.LeftOut, f.Path)
			}
		}
		if l.files = kept; len(dropped) > 0 {
			if err := w.redate(l.record, kept, dropped); err != nil {
				return err
			}
			retime(kept, dropped)
			l.forget()
			spare[i] = !slices.ContainsFunc(kept, func(f *format.File) bool { return !f.Implied })
		}
		if !spare[i] {
			addPaths(known, kept)
		}
	}
	var layers []layerFiles
	for i, l := range w.img.layers {
		// A layer is needed if it contains a directory that is in no other layer.
		if spare[i] {
			if !addPaths(known, l.files) {
				continue
			}
			l.record = &format.Layer{Components: []string{format.EmptyDirectories}, StabilityPPM: l.record.StabilityPPM}
		}
		layers = append(layers, l)
	}
	w.img.layers = layers
	slices.Sort(w.report.LeftOut)
	w.report.LeftOut = slices.Compact(w.report.LeftOut)
	if w.img.empty() {
		return errors.New("the stream contains only the output")
	}
	return nil
}

// addPaths adds the paths of files to the set and reports whether any path is new.
func addPaths(known map[string]bool, files []*format.File) (more bool) {
	for _, f := range files {
		more = more || !known[f.Path]
		known[f.Path] = true
	}
	return more
}

// output finds the records that belong to the output.
type output struct {
	paths  map[string]bool
	groups map[int64]bool
}

func newOutput(found []*format.File) *output {
	o := &output{paths: make(map[string]bool), groups: make(map[int64]bool)}
	for _, f := range found {
		o.paths[f.Path] = true
		if f.Hardlink != 0 {
			o.groups[f.Hardlink] = true
		}
	}
	return o
}

func (o *output) split(files []*format.File) (kept, dropped []*format.File) {
	for _, f := range files {
		if o.has(f) {
			dropped = append(dropped, f)
		} else {
			kept = append(kept, f)
		}
	}
	return kept, dropped
}

func (o *output) itself(f *format.File) bool { return o.paths[f.Path] || o.groups[f.Hardlink] }

func (o *output) has(f *format.File) bool {
	if o.itself(f) {
		return true
	}
	for p := range o.paths {
		if strings.HasPrefix(f.Path, p) && f.Path[len(p)] == '/' {
			return true
		}
	}
	return false
}

// retime removes the output's time from a layer, because that time comes from the wall clock.
// Directories whose time was set from the output get the time of the newest remaining file.
func retime(kept, dropped []*format.File) {
	was, is := newest(dropped), newest(kept)
	for _, f := range kept {
		if f.Type == format.TypeDir && f.MTime == was && is < was {
			f.MTime = is
		}
	}
}

// newest returns the newest mtime of all files except directories, or 0 if there are none.
func newest(files []*format.File) int64 {
	mtime, found := int64(0), false
	for _, f := range files {
		if f.Type != format.TypeDir && (!found || f.MTime > mtime) {
			mtime, found = f.MTime, true
		}
	}
	return mtime
}
