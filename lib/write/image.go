package write

import (
	"fmt"
	"strings"

	"chunkah/format"
)

// image is a packed stream as a whole.
type image struct {
	header format.Header
	layers []layerFiles
}

// layerFiles is one layer and its entries in order.
type layerFiles struct {
	record *format.Layer
	files  []*format.File
}

// MaxLayers is the number of layers that a stream may have at most: clients
// stop at 500 (containers-storage, measured), and a container file may add some.
const MaxLayers = 448

// check looks at what the records say of each other: what the reader of the
// stream cannot see in one record or one layer.
func (img *image) check() error {
	if len(img.layers) == 0 {
		return fmt.Errorf("the stream has no layers: put chunkah-pack in front")
	}
	if len(img.layers) > MaxLayers {
		return fmt.Errorf("the stream has %d layers: %d at most", len(img.layers), MaxLayers)
	}
	c := checker{paths: make(map[string]seen), groups: make(map[int64]int64)}
	for _, l := range img.layers {
		if err := c.layer(l); err != nil {
			return fmt.Errorf("layer %d: %w", l.record.Index, err)
		}
	}
	return nil
}

// seen is where a path was met last.
type seen struct {
	layer int64
	dir   bool
}

type checker struct {
	paths  map[string]seen
	groups map[int64]int64 // hard-link group -> layer
}

func (c *checker) layer(l layerFiles) error {
	index := l.record.Index
	if len(l.files) == 0 {
		return fmt.Errorf("has no files")
	}
	for _, f := range l.files {
		isDir := f.Type == format.TypeDir
		if before, again := c.paths[f.Path]; again && !(isDir && before.dir) {
			return fmt.Errorf("%q is in layer %d too: only a directory may be in several", f.Path, before.layer)
		}
		c.paths[f.Path] = seen{index, isDir}
		if parent := format.Parent(f.Path); parent != "/" {
			if up := c.paths[parent]; !up.dir || up.layer != index {
				return fmt.Errorf("%q comes without the directory that holds it", f.Path)
			}
		}
		if f.Hardlink != 0 {
			if other, known := c.groups[f.Hardlink]; known && other != index {
				return fmt.Errorf("%q has another name of its inode in layer %d", f.Path, other)
			}
			c.groups[f.Hardlink] = index
		}
	}
	return nil
}

// components names what the layer holds, for people.
func (l *layerFiles) components() string { return strings.Join(l.record.Components, ", ") }
