package patch

import "chunkah/format"

// Shadow is the part of a layer that upper layers hide.
type Shadow struct {
	// Bytes is the size of the layer's entries without directories, Stale that of the hidden ones.
	Bytes, Stale int64
	// HiddenBy has the hidden bytes by the layer that hides them.
	HiddenBy map[int]int64
	// Removed are the regular files with contents that no longer exist in the image, in order. They
	// can still be read in the layer.
	Removed []*format.File
}

// Shadows finds the stale entries of an image's layers.
func Shadows(layers []Layer) []Shadow {
	x := newIndex(nil, layers, nil)
	keep := make([]bool, len(layers))
	shadows := make([]Shadow, len(layers))
	for i := range keep {
		keep[i] = true
		shadows[i] = Shadow{Bytes: x.bytes[i], HiddenBy: make(map[int]int64)}
	}
	s := &state{
		x: x, live: make([]int64, len(keep)), needed: make([]bool, len(keep)),
		below: make([]int32, len(x.slots)), seen: make([]int32, len(x.groups)),
	}
	for i := range x.slots {
		shown := s.flatten(i, keep)
		at := &x.slots[i]
		for j := at.first; j < at.last; j++ {
			e := &x.entries[j]
			if j == shown || e.file.Type == format.TypeDir || e.file.Type == format.TypeWhiteout {
				continue
			}
			hider := s.below[i] // above a directory that was replaced or deleted
			if j+1 < at.last {
				hider = x.entries[j+1].layer
			}
			shadow := &shadows[e.layer]
			shadow.Stale += e.bytes
			shadow.HiddenBy[int(hider)] += e.bytes
			if shown < 0 && e.file.Size > 0 {
				shadow.Removed = append(shadow.Removed, e.file)
			}
		}
	}
	return shadows
}
