package inspect

import "chunkah/format"

// Waste describes the files that clients download although they are not visible in a container.
type Waste struct {
	// Hidden contains, for each entry in each layer, whether a higher layer replaces or deletes it.
	// Directories are never hidden.
	Hidden [][]bool
	// Files and Bytes are the number of hidden entries and their size. Doubled is the part of Bytes
	// whose contents a higher layer contains again, for example after a change of mode.
	Files, Bytes, Doubled int64
	// All is the size of all files in all layers.
	All int64
}

// Efficiency returns the share of the bytes that are visible in a container, in parts per million.
func (w *Waste) Efficiency() int64 {
	if w.All == 0 {
		return ppm
	}
	return int64(float64(w.All-w.Bytes) / float64(w.All) * ppm)
}

// Waste finds the hidden files in an image that was read.
func (in *Image) Waste() *Waste {
	w := &Waste{Hidden: make([][]bool, len(in.Layers))}
	above := map[string]*Entry{} // by path, the entry in the highest layer above
	covers := map[string]bool{}  // paths that hide everything below them
	for i := len(in.Layers) - 1; i >= 0; i-- {
		entries := in.Layers[i].Entries
		w.Hidden[i] = make([]bool, len(entries))
		for j := range entries {
			e := &entries[j]
			if e.IsDir() || e.IsWhiteout() {
				continue
			}
			w.All += e.Size
			over, replaced := above[e.Path]
			if !replaced && !covered(covers, e.Path) {
				continue
			}
			w.Hidden[i][j] = true
			w.Files++
			w.Bytes += e.Size
			if replaced && over.IsFile() && e.IsFile() && over.Content == e.Content && over.Size == e.Size {
				w.Doubled += e.Size
			}
		}
		for j := range entries {
			e := &entries[j]
			if above[e.Path] == nil {
				above[e.Path] = e
			}
			if !e.IsDir() {
				covers[e.Path] = true
			}
		}
	}
	return w
}

// covered reports whether a directory above the path is hidden.
func covered(covers map[string]bool, path string) bool {
	if len(covers) == 0 {
		return false
	}
	for dir := format.Parent(path); ; dir = format.Parent(dir) {
		if covers[dir] {
			return true
		}
		if dir == "/" || dir == "" {
			return false
		}
	}
}
