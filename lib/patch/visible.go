package patch

import (
	"iter"

	"chunkah/format"
)

// Visible yields the entries that an image of these layers shows, in the order of their paths. The
// lists are in order, and have no marks.
func Visible(layers []Layer) iter.Seq[*format.File] {
	return func(yield func(*format.File) bool) {
		var above []place
		at := place{}
		end := func() bool {
			return at.shown == nil || yield(at.shown)
		}
		for it := range merged(nil, layers) {
			if path := it.file.Path; path != at.path {
				if at.path != "" {
					if !end() {
						return
					}
					above = append(above, at)
				}
				for len(above) > 0 && !isBelow(path, above[len(above)-1].path) {
					above = above[:len(above)-1]
				}
				at = place{path: path}
				if len(above) > 0 {
					at.floor = above[len(above)-1].below
				}
				at.below = at.floor
			}
			at.add(it)
		}
		end()
	}
}

// place is a path of which entries are read from the bottom up.
type place struct {
	path  string
	shown *format.File // nil for none
	// floor and below are the lowest layers whose files show at the path and below it.
	floor, below int32
}

func (p *place) add(it item) {
	switch {
	case it.layer < p.floor:
	case it.file.Type == format.TypeWhiteout:
		p.shown, p.below = nil, it.layer
	case it.file.Type == format.TypeDir:
		p.shown = it.file
	default:
		p.shown, p.below = it.file, it.layer
	}
}
