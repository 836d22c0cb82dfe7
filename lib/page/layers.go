package page

import (
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/inspect"
)

// layer is a layer whose files are stored in columns. Half a million files take about 20 bytes
// each, and the browser builds a path only when it shows the path.
type layer struct {
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"` // size of its tar
	Blob   int64  `json:"blob"`
	Plain  bool   `json:"plain"` // the blob is the uncompressed tar
	Names  []int  `json:"names"` // the layer's components, according to its history
	By     string `json:"by"`    // the build step that made it, if there are no names

	// Files are all entries except directories. Common is the number of bytes that a path shares
	// with the previous path. Rest is the remainder of the path.
	Common []int    `json:"common"`
	Rest   []string `json:"rest"`
	Sizes  []int64  `json:"sizes"`
	// Components contains one number per file, or a single number if it applies to all files.
	Components any `json:"components"`
}

// viewLayer contains the data about a layer that can differ between the images that contain the
// layer.
type viewLayer struct {
	At        int    `json:"at"` // in content.Layers
	Stability *int64 `json:"stability"`
	Chain     *int64 `json:"chain"` // the stability of this layer together with all layers below it
	Missing   bool   `json:"missing,omitempty"`
	// Runs encodes which files changed or are hidden. It contains the lengths of runs of files. The
	// runs alternate between other files and these files, starting with other files.
	Runs []int `json:"runs,omitempty"`
	// Stale is the size in the tar of the files that upper layers hide. HiddenBy lists these
	// layers.
	Stale    int64 `json:"stale,omitempty"`
	HiddenBy []int `json:"hiddenBy,omitempty"`
	// Rewritten are the reasons why layers of the previous image were not kept when this layer was
	// made.
	Rewritten []string `json:"rewritten,omitempty"`
}

// layerKey identifies a layer: two blobs can have the same tar.
type layerKey struct{ blob, tar digest.Digest }

func newContent(kind string) *content {
	return &content{Kind: kind, Components: []string{}, Layers: []layer{}, numbers: map[string]int{}, places: map[layerKey]int{}}
}

// number returns the number of a component, and assigns one if the component is new.
func (c *content) number(name string) int {
	n, known := c.numbers[name]
	if !known {
		n = len(c.Components)
		c.numbers[name] = n
		c.Components = append(c.Components, shown(name))
	}
	return n
}

// newView returns the view of an image. flags marks entries, by layer.
func (c *content) newView(in *inspect.Image, flags [][]bool) view {
	v := view{About: about(in), Layers: []viewLayer{}}
	chains := in.ChainStability()
	for i := range in.Layers {
		l := &in.Layers[i]
		at := viewLayer{At: c.place(in, l), Runs: runs(l.Entries, flags[i]), HiddenBy: slices.Sorted(maps.Keys(l.HiddenBy))}
		at.Stale = max(0, l.Stale)
		for _, r := range l.Rewritten {
			at.Rewritten = append(at.Rewritten, shown(r.Reason.Text()))
		}
		if l.Stability != inspect.Unknown {
			at.Stability = &l.Stability
		}
		if chains[i] != inspect.Unknown {
			at.Chain = &chains[i]
		}
		v.Layers = append(v.Layers, at)
	}
	return v
}

// place returns the index of a layer in c.Layers, and adds the layer if it is new.
func (c *content) place(in *inspect.Image, l *inspect.Layer) int {
	key := layerKey{l.Descriptor.Digest, l.DiffID}
	at, known := c.places[key]
	if known {
		return at
	}
	one := layer{Digest: l.Descriptor.Digest.String(), Bytes: l.Bytes, Blob: l.Descriptor.Size, Plain: l.DiffID == l.Descriptor.Digest, Names: []int{}}
	if !l.Own {
		one.By = shown(l.History.CreatedBy)
	}
	for _, name := range l.Components {
		one.Names = append(one.Names, c.number(name))
	}
	one.addFiles(l.Entries, c.numbersOf(in))
	at = len(c.Layers)
	c.places[key] = at
	c.Layers = append(c.Layers, one)
	return at
}

// numbersOf returns the numbers of an image's components. They are computed once per image.
func (c *content) numbersOf(in *inspect.Image) []int32 {
	if c.numbered == in {
		return c.ofNumbered
	}
	numbers := make([]int32, len(in.Components))
	for i, name := range in.Components {
		numbers[i] = int32(c.number(name)) // bounded by the number of entries
	}
	c.numbered, c.ofNumbered = in, numbers
	return numbers
}

// addFiles fills the columns from entries. numbers are the numbers of the image's components.
func (l *layer) addFiles(entries []inspect.Entry, numbers []int32) {
	l.Common, l.Rest, l.Sizes = []int{}, []string{}, []int64{}
	components, last := []int32{}, ""
	for i := range entries {
		e := &entries[i]
		if e.IsDir() {
			continue
		}
		path := shown(e.Path)
		if e.IsWhiteout() {
			path += " (deleted)"
		}
		n := common(last, path)
		l.Common, l.Rest, l.Sizes = append(l.Common, n), append(l.Rest, path[n:]), append(l.Sizes, e.Size)
		number := int32(inspect.NoComponent)
		if e.Component != inspect.NoComponent {
			number = numbers[e.Component]
		}
		components = append(components, number)
		last = path
	}
	l.Components = components
	if one, same := sole(components); same {
		l.Components = one
	}
}

// runs encodes the flags of all entries except directories. It returns nil if none is set.
func runs(entries []inspect.Entry, flags []bool) []int {
	var list []int
	on, n, some := false, 0, false
	for i := range flags {
		if entries[i].IsDir() {
			continue
		}
		if flags[i] != on {
			list = append(list, n)
			on, n = flags[i], 0
			some = true
		}
		n++
	}
	if !some {
		return nil
	}
	return append(list, n)
}

// common returns the length of the common prefix. The prefix is limited to ASCII, because
// JavaScript counts other characters differently.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] && a[n] < 0x80 {
		n++
	}
	return n
}

// sole returns the number in a list whose elements are all equal. same reports whether they are
// equal.
func sole(list []int32) (n int32, same bool) {
	if len(list) == 0 {
		return inspect.NoComponent, true
	}
	for _, x := range list {
		if x != list[0] {
			return 0, false
		}
	}
	return list[0], true
}
