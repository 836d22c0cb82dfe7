package write

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/layer"
	"chunkah/lib/plan"
)

// image is a complete packed stream.
type image struct {
	header format.Header
	kept   []keptFiles // kept from the previous image, below the other layers
	layers []layerFiles
	// components is the number of component records.
	components int
}

// add adds a file to the last layer.
func (img *image) add(f *format.File) error {
	switch {
	case len(img.layers) > 0:
		l := &img.layers[len(img.layers)-1]
		l.files = append(l.files, f)
	case len(img.kept) > 0:
		img.kept[len(img.kept)-1].files.Append(f)
	default:
		return fmt.Errorf("file %q is not in a layer: run chunkah-pack before chunkah-write", f.Path)
	}
	return nil
}

// keptFiles is a layer of the previous image and its entries in order.
type keptFiles struct {
	record *format.Layer
	files  filelist.List
}

// layerFiles is one layer and its entries in order.
type layerFiles struct {
	record *format.Layer
	files  []*format.File
	size   int64 // tar size in bytes, once all file sizes are known
	rank   int   // position when the layers are sorted by size, from 0
	spool  *spooledBlob
	// chunked is set if the blob is zstd:chunked.
	chunked bool
	// digests compares the files with their digests if the record has a digest of the entries.
	digests *comparing
}

// maxLayers is the largest number of layers of an image. containers-storage refuses more
// (measured).
const maxLayers = 500

// check checks that records are consistent with each other, which the stream's reader cannot check,
// and refuses files that no layer can contain.
func (img *image) check() error {
	if len(img.layers)+len(img.kept) == 0 {
		return errors.New("the stream has no layers: run chunkah-pack before chunkah-write")
	}
	c := checker{dirs: make(map[string]*seenDir), groups: make(map[int64]seen), names: make(map[string]int64)}
	for _, l := range img.layers {
		if err := c.layer(l); err != nil {
			return fmt.Errorf("layer %d: %w", l.record.Index, err)
		}
	}
	for _, l := range img.layers {
		if err := c.unique(l); err != nil {
			return err
		}
	}
	return nil
}

// empty reports whether the layers contain only the root directory.
func (img *image) empty() bool {
	return len(img.kept) == 0 && !slices.ContainsFunc(img.layers, func(l layerFiles) bool {
		return slices.ContainsFunc(l.files, func(f *format.File) bool { return f.Path != "/" })
	})
}

// seen records where a file first appeared.
type seen struct {
	layer int64
	file  *format.File
}

// seenDir records where a directory last appeared.
type seenDir struct {
	seen
	shared bool // in several layers
}

type checker struct {
	dirs   map[string]*seenDir
	groups map[int64]seen   // the first path of each hard-link group
	names  map[string]int64 // the layer of each entry in a shared directory
	parent string           // the parent directory that was last found in this layer
	bytes  int64            // total size of the contents whose size is in the stream
}

func (c *checker) layer(l layerFiles) error {
	index := l.record.Index
	if len(l.files) == 0 {
		return errors.New("has no files")
	}
	c.parent = "/"
	for i, f := range l.files {
		if err := layer.Check(f); err != nil {
			return err
		}
		if i > 0 && format.ComparePaths(l.files[i-1].Path, f.Path) >= 0 {
			return unordered(l.files[i-1], f)
		}
		if f.Type == format.TypeDir {
			if err := c.dir(index, f); err != nil {
				return err
			}
		}
		if err := c.below(index, f); err != nil {
			return err
		}
		if c.bytes += max(f.Size, 0); c.bytes > layer.MaxBytes {
			return fmt.Errorf("the files up to %q have more than %d bytes in total", f.Path, int64(layer.MaxBytes))
		}
		if f.Hardlink != 0 {
			if err := c.hardlink(index, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// unordered describes the wrong order of two files. A stream reader refuses such files too, but
// within a build no reader runs between pack and write.
func unordered(before, f *format.File) error {
	if before.Path == f.Path {
		return fmt.Errorf("%q occurs twice", f.Path)
	}
	return fmt.Errorf("%q comes after %q", f.Path, before.Path)
}

// dir makes sure that all layers store the same metadata for a directory.
func (c *checker) dir(index int64, f *format.File) error {
	before := c.dirs[f.Path]
	if before == nil {
		c.dirs[f.Path] = &seenDir{seen: seen{index, f}}
		return nil
	}
	if !sameDir(f, before.file) {
		return fmt.Errorf("directory %q has a different mode, owner or xattrs than in layer %d", f.Path, before.layer)
	}
	before.layer, before.shared = index, true
	return nil
}

// below makes sure that the layer contains the parent directory of f.
func (c *checker) below(index int64, f *format.File) error {
	parent := format.Parent(f.Path)
	if parent == "/" || parent == c.parent {
		return nil
	}
	if up := c.dirs[parent]; up == nil || up.layer != index {
		return fmt.Errorf("%q: the layer lacks its parent directory", f.Path)
	}
	c.parent = parent
	return nil
}

// unique makes sure that no path is in several layers unless it is a directory. Within a layer, the
// order of files rules out duplicates. Two layers can contain the same file only in a directory
// that both contain, so only a few names must be kept in memory.
func (c *checker) unique(l layerFiles) error {
	index, parent, shared := l.record.Index, "", false
	for _, f := range l.files {
		if f.Type == format.TypeDir {
			continue
		}
		if up := format.Parent(f.Path); up != parent {
			parent, shared = up, up == "/" || c.dirs[up].shared
		}
		if !shared {
			continue
		}
		at, again := c.names[f.Path]
		if dir := c.dirs[f.Path]; dir != nil {
			at, again = dir.layer, true
		}
		if again {
			return fmt.Errorf("layer %d: %q is in layer %d too, but only a directory can be in several layers", max(at, index), f.Path, min(at, index))
		}
		c.names[f.Path] = index
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
		return fmt.Errorf("%q has a hard link in another layer (layer %d, %q)", f.Path, first.layer, first.file.Path)
	default:
		return layer.CheckLink(first.file, f)
	}
	return nil
}

// components lists the layer's components in readable form.
func (l *layerFiles) components() string { return strings.Join(l.record.Components, ", ") }

// maxPlan is the largest size of a plan in an image, in bytes. Clients read configs of at most 4
// MiB, and each quote takes two bytes in JSON. The plan of 10,000 packages needs half of maxPlan.
const maxPlan = 1 << 20

// comments returns each layer's history comment, from the bottom up. Together the comments are the
// plan, which the next build reads. A layer that is kept from the previous image gets a new comment
// if the stream's record outdates the old one. If the plan is too large, the times are left out. If
// it is still too large, what the previous images showed is left out too, and finally everything
// except the components' names. lacks describes what was left out, and is empty if nothing was.
func (img *image) comments(kept []StoredLayer) (lines []string, lacks string, err error) {
	records := make([]*format.Layer, 0, len(kept)+len(img.layers))
	for i, k := range kept {
		rec := img.kept[i].record
		if !outdates(rec, k.History) {
			rec = nil
		}
		records = append(records, rec)
	}
	for i := range img.layers {
		records = append(records, img.layers[i].record)
	}
	for _, lacks = range []string{"", lacksTimes, lacksLearned, lacksStates} {
		lines, total := make([]string, len(records)), 0
		for i, rec := range records {
			if rec == nil {
				lines[i] = kept[i].History.Comment
			} else if lines[i], err = comment(rec, lacks); err != nil {
				return nil, "", err
			}
			total += len(lines[i])
		}
		if total <= maxPlan || lacks == lacksStates {
			return lines, lacks, nil
		}
	}
	return nil, "", nil
}

// These are the parts of a plan that are left out if the plan is too large.
const (
	lacksTimes   = "times"
	lacksLearned = "times and surprises"
	lacksStates  = "times and fingerprints"
)

// comment returns a record as a line of the plan.
func comment(l *format.Layer, lacks string) (string, error) {
	rec := *l
	rec.DiffID = "" // the diffID is used only in the stream, where it marks a kept layer
	switch lacks {
	case lacksStates:
		return strings.Join(rec.Components, ", "), nil
	case lacksLearned:
		rec.Updated, rec.Surprises = nil, nil
		fallthrough
	case lacksTimes:
		rec.Times, rec.Contents = nil, nil
	}
	return plan.Comment(&rec)
}

// created returns the image's creation time: the source date, or the time in the config, or the
// time of the newest regular file. It does not depend on the wall clock.
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
	// The newest file in the header can be the output itself.
	var mtimes []int64
	for _, l := range w.img.layers {
		for _, f := range l.files {
			if f.Type == format.TypeFile {
				mtimes = append(mtimes, f.MTime)
			}
		}
	}
	if len(mtimes) == 0 {
		return seconds(0), "zero, because there is no regular file"
	}
	return seconds(slices.Max(mtimes)), "the newest regular file"
}

// RFC 3339, and therefore an image, can express only the years 0 to 9999.
const (
	minSecond = -62167219200
	maxSecond = 253402300799
)

func seconds(sec int64) *time.Time {
	t := time.Unix(min(max(sec, minSecond), maxSecond), 0).UTC()
	return &t
}
