package page

import (
	"chunkah/lib/inspect"
)

// layer is a layer with its files in columns. Half a million files take some 20 bytes each, and the
// browser builds a path only when it is shown.
type layer struct {
	Digest    string `json:"digest"`
	Bytes     int64  `json:"bytes"` // size of its tar
	Blob      int64  `json:"blob"`
	Plain     bool   `json:"plain"` // the blob is the tar
	Stability *int64 `json:"stability"`
	Chain     *int64 `json:"chain"` // the stability of it and all layers below it
	Names     []int  `json:"names"` // its components, according to its history
	By        string `json:"by"`    // the build step that made it, if there are no names
	Missing   bool   `json:"missing"`

	// Files are all entries except directories. Common is the number of bytes that a path shares
	// with the previous path, Rest the remainder of the path.
	Common []int    `json:"common"`
	Rest   []string `json:"rest"`
	Sizes  []int64  `json:"sizes"`
	// Components has one number per file, or one for all files.
	Components any `json:"components"`
}

func newContent(kind string, in *inspect.Image) *content {
	c := &content{Kind: kind, Components: []string{}, Layers: []layer{}}
	numbers := map[string]int{}
	number := func(name string) int {
		n, known := numbers[name]
		if !known {
			n = len(c.Components)
			numbers[name] = n
			c.Components = append(c.Components, shown(name))
		}
		return n
	}
	for _, name := range in.Components {
		number(name)
	}
	chains := in.ChainStability()
	for i := range in.Layers {
		l := &in.Layers[i]
		one := layer{
			Digest: l.Descriptor.Digest.String(), Bytes: l.Bytes, Blob: l.Descriptor.Size, Plain: l.DiffID == l.Descriptor.Digest, Names: []int{},
		}
		if l.Stability != inspect.Unknown {
			one.Stability = &l.Stability
		}
		if chains[i] != inspect.Unknown {
			one.Chain = &chains[i]
		}
		if !l.Own {
			one.By = shown(l.History.CreatedBy)
		}
		for _, name := range l.Components {
			one.Names = append(one.Names, number(name))
		}
		one.addFiles(l.Entries)
		c.Layers = append(c.Layers, one)
	}
	return c
}

// addFiles fills the columns from entries.
func (l *layer) addFiles(entries []inspect.Entry) {
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
		components = append(components, e.Component)
		last = path
	}
	l.Components = components
	if one, same := sole(components); same {
		l.Components = one
	}
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
