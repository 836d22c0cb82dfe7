package write

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chunkah/format"
	"chunkah/lib/layer"
	"chunkah/lib/plan"
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
	size   int64 // of its tar, once all sizes are known
	rank   int   // its place among the layers by size, from 0
	spool  *waiting
}

// MaxLayers is the number of layers that a stream may have at most: clients
// stop at 500 (containers-storage, measured), and a container file may add some.
const MaxLayers = 448

// check looks at what the records say of each other, which the reader of the
// stream cannot see, and at what no layer can hold.
func (img *image) check() error {
	if len(img.layers) == 0 {
		return errors.New("the stream has no layers: put chunkah-pack in front")
	}
	n := 0
	for _, l := range img.layers {
		n += len(l.files)
	}
	c := checker{paths: make(map[string]seen, n), groups: make(map[int64]seen)}
	for _, l := range img.layers {
		if err := c.layer(l); err != nil {
			return fmt.Errorf("layer %d: %w", l.record.Index, err)
		}
	}
	return nil
}

// empty reports whether nothing but the root itself is in the layers.
func (img *image) empty() bool {
	return !slices.ContainsFunc(img.layers, func(l layerFiles) bool {
		return slices.ContainsFunc(l.files, func(f *format.File) bool { return f.Path != "/" })
	})
}

// seen is where a path was met last.
type seen struct {
	layer int64
	file  *format.File
}

type checker struct {
	paths  map[string]seen
	groups map[int64]seen // the first name of each hard-link group
	parent string         // the last one found in this layer
	bytes  int64          // of all contents, where the stream says
}

func (c *checker) layer(l layerFiles) error {
	index := l.record.Index
	if len(l.files) == 0 {
		return errors.New("it has no files")
	}
	c.parent = "/"
	for _, f := range l.files {
		if err := layer.Check(f); err != nil {
			return err
		}
		if err := c.path(index, f); err != nil {
			return err
		}
		if c.bytes += max(f.Size, 0); c.bytes > layer.MaxBytes {
			return fmt.Errorf("with %q the files have more than %d bytes", f.Path, int64(layer.MaxBytes))
		}
		if f.Hardlink != 0 {
			if err := c.hardlink(index, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// path makes sure that a path is in one layer, below a directory that is there;
// a directory may be in several, and is then the same in all.
func (c *checker) path(index int64, f *format.File) error {
	if before, again := c.paths[f.Path]; again {
		if f.Type != format.TypeDir || before.file.Type != format.TypeDir {
			return fmt.Errorf("%q is in layer %d too: only a directory may be in several", f.Path, before.layer)
		}
		if !sameDir(f, before.file) {
			return fmt.Errorf("directory %q has another mode, owner or xattrs than in layer %d", f.Path, before.layer)
		}
	}
	c.paths[f.Path] = seen{index, f}
	if parent := format.Parent(f.Path); parent != "/" && parent != c.parent {
		up, known := c.paths[parent]
		if !known || up.layer != index || up.file.Type != format.TypeDir {
			return fmt.Errorf("%q comes without the directory that holds it", f.Path)
		}
		c.parent = parent
	}
	return nil
}

func sameDir(a, b *format.File) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && layer.SameXattrs(a, b)
}

func (c *checker) hardlink(index int64, f *format.File) error {
	first, known := c.groups[f.Hardlink]
	switch {
	case !known:
		c.groups[f.Hardlink] = seen{index, f}
	case first.layer != index:
		return fmt.Errorf("%q has another name of its inode in layer %d, %q", f.Path, first.layer, first.file.Path)
	default:
		return layer.CheckLink(first.file, f)
	}
	return nil
}

// components names what the layer holds, for people.
func (l *layerFiles) components() string { return strings.Join(l.record.Components, ", ") }

// maxPlan bounds the plan that an image carries, in bytes: clients read no config
// of more than 4 MiB, in which each quote takes two. 10,000 components take half
// of it.
const maxPlan = 1 << 20

// comments are what stands in the history of each layer: the plan, so that the
// next build can read it back, or where that is too much the components' names.
func (img *image) comments() ([]string, error) {
	lines, total := make([]string, len(img.layers)), 0
	for i := range img.layers {
		var err error
		if lines[i], err = plan.Comment(img.layers[i].record); err != nil {
			return nil, err
		}
		total += len(lines[i])
	}
	if total <= maxPlan {
		return lines, nil
	}
	for i := range img.layers {
		lines[i] = img.layers[i].components()
	}
	return lines, nil
}

// created picks the image's time: the source date, else the config's, else that
// of the newest regular file. The wall clock has no say.
func (w *writer) created() (t *time.Time, from string) {
	h := &w.img.header
	switch {
	case h.HasSourceDate:
		return seconds(h.SourceDate), "SOURCE_DATE_EPOCH"
	case w.config.Created != nil:
		return w.config.Created, "the config"
	case h.HasNewestMtime && len(w.report.LeftOut) == 0:
		return seconds(h.NewestMtime), "the newest regular file"
	}
	// The newest file that the header speaks of may be the output itself.
	var mtimes []int64
	for _, l := range w.img.layers {
		for _, f := range l.files {
			if f.Type == format.TypeFile {
				mtimes = append(mtimes, f.MTime)
			}
		}
	}
	if len(mtimes) == 0 {
		return seconds(0), "nothing: there is no regular file"
	}
	return seconds(slices.Max(mtimes)), "the newest regular file"
}

// The seconds that RFC 3339 has a spelling for, and with it an image: the years
// 0 to 9999.
const (
	minSecond = -62167219200
	maxSecond = 253402300799
)

func seconds(sec int64) *time.Time {
	t := time.Unix(min(max(sec, minSecond), maxSecond), 0).UTC()
	return &t
}
