package patch

import (
	"iter"

	"chunkah/format"
)

// Visible yields, in path order, the entries that an image made of these layers shows. An entry is
// valid until the next one. The layers' files must be sorted by path and contain no marks.
func Visible(layers []Layer) iter.Seq[*format.File] {
	return func(yield func(*format.File) bool) {
		var above []place
		at := place{}
		end := func() bool {
			return !at.isShown || yield(&at.shown)
		}
		for it := range merged(nil, layers) {
			if path := it.file.Path; path != at.path {
				if at.path != "" {
					if !end() {
						return
					}
					above = append(above, at)
				}
				for len(above) > 0 && !format.IsBelow(above[len(above)-1].path, path) {
					above = above[:len(above)-1]
				}
				at = place{path: path}
				if len(above) > 0 {
					at.lowest = above[len(above)-1].inside
				}
				at.inside = at.lowest
			}
			at.add(it)
		}
		end()
	}
}

// place is a path whose entries are read from the bottom layer up.
type place struct {
	path    string
	shown   format.File // valid if isShown is set
	isShown bool
	// lowest is the lowest layer whose files are visible at the path. inside is the lowest layer
	// whose files are visible below the path.
	lowest, inside int32
}

func (p *place) add(it item) {
	switch {
	case it.layer < p.lowest:
	case it.file.Type == format.TypeWhiteout:
		p.isShown, p.inside = false, it.layer
	case it.file.Type == format.TypeDir:
		p.shown, p.isShown = *it.file, true
	default:
		p.shown, p.isShown, p.inside = *it.file, true, it.layer
	}
}
