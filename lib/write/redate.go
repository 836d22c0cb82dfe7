package write

import (
	"fmt"
	"slices"

	"chunkah/format"
)

// redate sets the times of the files in the output's component to the times that they would have
// without the output. In a component without an mtime clamp, all files get the time of the newest
// file. In a pipe, the newest file can be the output of the previous run.
func (w *writer) redate(rec *format.Layer, kept, dropped []*format.File) error {
	for i, name := range rec.Components {
		if i >= len(rec.Contents) || rec.Contents[i] == "" || !slices.ContainsFunc(dropped, isIn(name)) {
			continue
		}
		rec.Contents[i] = "" // this digest still includes the output
		time, err := w.newestOwn(kept, name)
		if err != nil {
			return err
		}
		was := rec.Times[i]
		if time >= was {
			continue
		}
		for _, f := range kept {
			if f.Type != format.TypeDir && f.MTime == was && isIn(name)(f) {
				f.MTime = time
			}
		}
		rec.Times[i] = time
	}
	return nil
}

func isIn(component string) func(*format.File) bool {
	return func(f *format.File) bool { return slices.Contains(f.Components, component) }
}

// newestOwn returns the time of a component's newest file in the source. Like pack, it uses regular
// files, or other files if there are no regular files.
func (w *writer) newestOwn(files []*format.File, component string) (newest int64, err error) {
	found, regular := false, false
	for _, f := range files {
		if f.Type == format.TypeDir || !isIn(component)(f) || regular && f.Type != format.TypeFile {
			continue
		}
		st, err := w.root.Lstat(f.Path)
		if err != nil {
			return 0, fmt.Errorf("reading the time of %q: %w", f.Path, err)
		}
		if isFile := f.Type == format.TypeFile; !found || isFile && !regular || st.MTime > newest {
			newest, found, regular = st.MTime, true, regular || isFile
		}
	}
	if w.img.header.HasSourceDate {
		newest = min(newest, w.img.header.SourceDate)
	}
	return newest, nil
}
