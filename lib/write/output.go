package write

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"chunkah/format"
)

// leaveOutOutput drops the records of what is being written or replaced: the
// shell or an earlier run made it before anyone could know. Names tell what to
// look at, inodes what it is.
func (w *writer) leaveOutOutput() error {
	outputs := w.dest.Occupies()
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
	gone := make(map[string]bool)
	for _, l := range w.img.layers {
		for _, f := range l.files {
			if !names[f.Path[len(f.Path)-nameLen(f.Path):]] || gone[f.Path] {
				continue
			}
			is, err := w.isOutput(f, outputs)
			if err != nil {
				return err
			}
			if is {
				gone[f.Path] = true
				w.report.LeftOut = append(w.report.LeftOut, f.Path)
			}
		}
	}
	if len(gone) > 0 {
		return w.drop(gone)
	}
	return nil
}

func (w *writer) isOutput(f *format.File, outputs []os.FileInfo) (bool, error) {
	if f.Path == "/" {
		return false, nil
	}
	st, err := w.root.Lstat(f.Path)
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

// drop takes paths, and what is below them, out of all layers. A layer that
// held nothing else goes with them.
func (w *writer) drop(gone map[string]bool) error {
	var layers []layerFiles
	for _, l := range w.img.layers {
		kept := l.files[:0]
		own := false
		for _, f := range l.files {
			if belowAny(gone, f.Path) {
				continue
			}
			kept = append(kept, f)
			own = own || !f.Implied
		}
		l.files = kept
		if own {
			layers = append(layers, l)
		}
	}
	w.img.layers = layers
	if len(layers) == 0 {
		return fmt.Errorf("nothing but the output itself is to be written")
	}
	return nil
}

func belowAny(gone map[string]bool, path string) bool {
	for p := range gone {
		if path == p || strings.HasPrefix(path, p) && path[len(p)] == '/' {
			return true
		}
	}
	return false
}
