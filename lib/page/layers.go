package page

import (
	"github.com/opencontainers/go-digest"

	"chunkah/lib/inspect"
)

// layer is a layer with its files in columns. Half a million files take some 20 bytes each, and the
// browser builds a path only when it is shown.
type layer struct {
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"` // size of its tar
	Blob   int64  `json:"blob"`
	Plain  bool   `json:"plain"` // the blob is the tar
	Names  []int  `json:"names"` // its components, according to its history
	By     string `json:"by"`    // the build step that made it, if there are no names

	// Files are all entries except directories. Common is the number of bytes that a path shares
	// with the previous path, Rest the remainder of the path.
	Common []int    `json:"common"`
	Rest   []string `json:"rest"`
	Sizes  []int64  `json:"sizes"`
	// Components has one number per file, or one for all files.
	Components any `json:"components"`
}

// viewLayer has the data of a layer that differ between the images with this layer.
type viewLayer struct {
	At        int    `json:"at"` // in content.Layers
	Stability *int64 `json:"stability"`
	Chain     *int64 `json:"chain"` // the stability of it and all layers below it
	Missing   bool   `json:"missing,omitempty"`
	// Runs are the files that changed, or that are hidden: the lengths of runs of files, the first
	// one of others.
	Runs []int `json:"runs,omitempty"`
}

// layerKey identifies a layer: two blobs can have the same tar.
type layerKey struct{ blob, tar digest.Digest }

func newContent(kind string) *content {
	return &content{Kind: kind, Components: []string{}, Layers: []layer{}, numbers: map[string]int{}, places: map[layerKey]int{}}
}

// number returns the number of a component.
func (c *content) number(name string) int {
	n, known := c.numbers[name]
	if !known {
		n = len(c.Components)
		c.numbers[name] = n
		c.Components = append(c.Components, shown(name))
	}
	return n
}

// newView returns the view of an image, with flags of its entries by layer.
func (c *content) newView(in *inspect.Image, flags [][]bool) view {
	v := view{About: about(in), Layers: []viewLayer{}}
	chains := in.ChainStability()
	for i := range in.Layers {
		l := &in.Layers[i]
		at := viewLayer{At: c.place(in, l), Runs: runs(l.Entries, flags[i])}
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

// place returns the place of a layer in c.Layers, and adds it if it is new.
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

// numbersOf returns the numbers of an image's components. They are found once per image.
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

// addFiles fills the columns from entries. numbers are those of the image's components.
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

// runs encodes the flags of the entries except directories. It returns nil if none is set.
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

// common returns the length of the common prefix, limited to ASCII, since JavaScript counts other
// characters differently.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] && a[n] < 0x80 {
		n++
	}
	return n
}

// sole returns the only distinct number in a list.
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
