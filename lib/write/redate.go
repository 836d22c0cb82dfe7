package write

import (
	"fmt"
	"slices"

	"chunkah/format"
)

// redate gives the files of the output's component the time that they have without it. All files
// of a component that no package bounds have the time of the newest, and in a pipe that can be the
// output of the last run.
func (w *writer) redate(rec *format.Layer, kept, dropped []*format.File) error {
	for i, name := range rec.Components {
		if i >= len(rec.Contents) || rec.Contents[i] == "" || !slices.ContainsFunc(dropped, isIn(name)) {
			continue
		}
		rec.Contents[i] = "" // it is that of the component with the output
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

// newestOwn returns the time of the newest file of a component in the source, as pack does: that of
// a regular file, or else of any other.
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
