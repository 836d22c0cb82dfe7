package reuse

import (
	"github.com/opencontainers/go-digest"

	"chunkah/lib/inspect"
)

// Changed reports, for each entry in the new image's downloaded layers, whether it differs from the
// old image in more than its time. The result is nil for layers that are not downloaded. Both
// images must have been read.
func Changed(old, new *inspect.Image, missing []bool) [][]bool {
	tars := map[digest.Digest]bool{}
	for _, l := range old.Layers {
		tars[l.DiffID] = true
	}
	var olds *index
	list := make([][]bool, len(new.Layers))
	for i := range new.Layers {
		if !missing[i] {
			continue
		}
		l := &new.Layers[i]
		list[i] = make([]bool, len(l.Entries))
		if tars[l.DiffID] {
			continue
		}
		if olds == nil {
			olds = newIndex(old)
		}
		for j := range l.Entries {
			list[i][j] = !olds.find(&l.Entries[j]).same
		}
	}
	return list
}
