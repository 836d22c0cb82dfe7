package inspect

import (
	"cmp"
	"math"
	"slices"
	"time"

	"chunkah/lib/chain"
	"chunkah/lib/image"
	"chunkah/lib/patch"
)

// Summary is an image in the JSON output. Unknown numbers are omitted.
type Summary struct {
	Image      string     `json:"image"`
	Digest     string     `json:"digest"`
	Platform   string     `json:"platform"`
	Created    *time.Time `json:"created,omitempty"`
	Bytes      *int64     `json:"bytes,omitempty"`
	Compressed int64      `json:"compressed_bytes"`
	// Stale is the total size in tars of all files that upper layers hide. It is omitted if no
	// files are hidden.
	Stale      int64              `json:"stale_bytes,omitempty"`
	Layers     []LayerSummary     `json:"layers"`
	Components []ComponentSummary `json:"components,omitempty"`
}

// LayerSummary is a layer in the JSON output.
type LayerSummary struct {
	Index      int    `json:"index"`
	Digest     string `json:"digest"`
	DiffID     string `json:"diff_id"`
	MediaType  string `json:"media_type"`
	Bytes      *int64 `json:"bytes,omitempty"` // size of the layer's tar
	Compressed int64  `json:"compressed_bytes"`
	Chunked    bool   `json:"chunked,omitempty"` // the layer is zstd:chunked
	// Stale is the size in the tar of those files in the layer that upper layers hide. It is
	// omitted if no files are hidden.
	Stale int64 `json:"stale_bytes,omitempty"`
	// HiddenBy contains the parts of Stale, by the index of the layer that hides the files.
	HiddenBy map[int]int64 `json:"hidden_by,omitempty"`
	// Rewritten are layers of the previous image that were not kept when this layer was made.
	Rewritten []patch.Rewritten `json:"rewritten,omitempty"`
	// Files counts the entries that are not directories.
	Files *int64 `json:"files,omitempty"`
	// Stability is the chance that the layer stays unchanged for a week, in parts per million.
	Stability *int64 `json:"stability_ppm,omitempty"`
	// ChainStability is the chance that the layer and all layers below it stay unchanged for a
	// week.
	ChainStability *int64   `json:"chain_stability_ppm,omitempty"`
	Components     []string `json:"components,omitempty"`
	CreatedBy      string   `json:"created_by,omitempty"`
}

// ComponentSummary describes a component in all layers that contain files from it.
type ComponentSummary struct {
	// Name is empty for files of unknown components.
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"` // size of the contents of its files
	Files  int64  `json:"files"`
	Layers []int  `json:"layers"`
	// Stability is the stability of the component's layer if the component is in only one layer.
	Stability *int64 `json:"stability_ppm,omitempty"`
}

// known returns nil for Unknown.
func known(n int64) *int64 {
	if n == Unknown {
		return nil
	}
	return &n
}

// Summary summarizes the image, with its components if requested.
func (in *Image) Summary(components bool) *Summary {
	s := &Summary{
		Image: in.Source, Digest: in.Digest.String(), Platform: in.Platform, Created: in.Created,
		Layers: []LayerSummary{},
	}
	bytes, chains := int64(0), in.ChainStability()
	for i, l := range in.Layers {
		one := LayerSummary{
			Index: i, Digest: l.Descriptor.Digest.String(), DiffID: l.DiffID.String(), MediaType: l.Descriptor.MediaType,
			Bytes: known(l.Bytes), Compressed: l.Descriptor.Size, Chunked: l.Chunked(), Stability: known(l.Stability),
			ChainStability: known(chains[i]), Components: l.Components, Rewritten: l.Rewritten,
		}
		if !l.Own {
			one.CreatedBy = l.History.CreatedBy
		}
		if in.read {
			one.Stale, one.HiddenBy = l.Stale, l.HiddenBy
			one.Files = known(countFiles(l.Entries))
		}
		s.Layers = append(s.Layers, one)
		s.Stale += one.Stale
		s.Compressed += l.Descriptor.Size
		if l.Bytes == Unknown || bytes == Unknown {
			bytes = Unknown
		} else {
			bytes += l.Bytes
		}
	}
	s.Bytes = known(bytes)
	if components {
		s.Components = in.components()
	}
	return s
}

// ChainStability returns, for each layer, the chance that it and all layers below it stay unchanged
// for a week, in parts per million. It is Unknown from the first layer whose stability is Unknown.
func (in *Image) ChainStability() []int64 {
	var layers []image.Layer
	for _, l := range in.Layers {
		layers = append(layers, l.Layer)
	}
	list := slices.Repeat([]int64{Unknown}, len(in.Layers))
	for i, stay := range chain.Stay(Chain(layers)) {
		list[i] = int64(math.Round(stay * ppm))
	}
	return list
}

func countFiles(entries []Entry) (n int64) {
	for i := range entries {
		if !entries[i].IsDir() {
			n++
		}
	}
	return n
}

// components returns all components, the largest first.
func (in *Image) components() []ComponentSummary {
	all := make([]ComponentSummary, len(in.Components)+1) // the last element is for files without a component
	for i, name := range in.Components {
		all[i].Name = name
	}
	for i := range in.Layers {
		for j := range in.Layers[i].Entries {
			e := &in.Layers[i].Entries[j]
			if e.IsDir() {
				continue
			}
			c := &all[len(all)-1]
			if e.Component != NoComponent {
				c = &all[e.Component]
			}
			c.Bytes += e.Size
			c.Files++
			if n := len(c.Layers); n == 0 || c.Layers[n-1] != i {
				c.Layers = append(c.Layers, i)
			}
		}
	}
	all = slices.DeleteFunc(all, func(c ComponentSummary) bool { return len(c.Layers) == 0 })
	for i := range all {
		if c := &all[i]; len(c.Layers) == 1 {
			c.Stability = known(in.Layers[c.Layers[0]].Stability)
		}
	}
	slices.SortFunc(all, func(a, b ComponentSummary) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return all
}
