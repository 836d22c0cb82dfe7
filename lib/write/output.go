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

// leaveOutOutput drops the records of what is being written or replaced, and of what
// builds keep: the shell or an earlier run made it before anyone could know. Names tell what to
// look at, inodes what it is.
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
			if !names[baseName(f.Path)] {
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
	return w.drop(found)
}

func (w *writer) isOutput(f *format.File, outputs []os.FileInfo) (bool, error) {
	if f.Path == "/" {
		return false, nil
	}
	st, err := w.root.Lstat(f.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return false, nil // where it matters, reading it says so
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

// drop takes the output out of all layers: the records found, further names of
// their inodes, and what is below them. A layer that held nothing else goes too.
func (w *writer) drop(found []*format.File) error {
	gone := newOutput(found)
	spare := make(map[int]bool) // layers with nothing left of their own
	held := make(map[string]bool)
	for i := range w.img.layers {
		l := &w.img.layers[i]
		kept, dropped := gone.split(l.files)
		for _, f := range dropped {
			if gone.itself(f) {
				w.report.LeftOut = append(w.report.LeftOut, f.Path)
			}
		}
		if l.files = kept; len(dropped) > 0 {
			retime(kept, dropped)
			spare[i] = !slices.ContainsFunc(kept, func(f *format.File) bool { return !f.Implied })
		}
		if !spare[i] {
			hold(held, kept)
		}
	}
	var layers []layerFiles
	for i, l := range w.img.layers {
		// A directory that no other layer has is a reason to keep one.
		if spare[i] {
			if !hold(held, l.files) {
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
		return errors.New("nothing but the output itself is to be written")
	}
	return nil
}

// hold notes the paths of files and reports whether any is new.
func hold(held map[string]bool, files []*format.File) (more bool) {
	for _, f := range files {
		more = more || !held[f.Path]
		held[f.Path] = true
	}
	return more
}

// output is what of the tree is the output itself.
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

// retime takes the output's time, which is that of the wall clock, out of a
// layer: where its directories have their time from there, they get that of the
// newest file that is left.
func retime(kept, dropped []*format.File) {
	was, is := newest(dropped), newest(kept)
	for _, f := range kept {
		if f.Type == format.TypeDir && f.MTime == was && is < was {
			f.MTime = is
		}
	}
}

// newest returns the newest mtime of what is no directory, 0 where that is
// nothing.
func newest(files []*format.File) int64 {
	mtime, found := int64(0), false
	for _, f := range files {
		if f.Type != format.TypeDir && (!found || f.MTime > mtime) {
			mtime, found = f.MTime, true
		}
	}
	return mtime
}
