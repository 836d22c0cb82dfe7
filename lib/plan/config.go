package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/console"
	"chunkah/lib/group"
)

// Author is the author in a layer's history.
const Author = "chunkah"

// Comment returns the comment for a layer's entry in the image's history: the layer's record, as a
// line of a plan. Container storage drops annotations, but keeps comments.
func Comment(l *format.Layer) (string, error) { return format.Line(l) }

// entry contains the fields of a history entry that are read.
type entry struct {
	CreatedBy  string `json:"created_by"`
	Author     string `json:"author"`
	Comment    string `json:"comment"`
	EmptyLayer bool   `json:"empty_layer"`
}

// FromConfig reads the plan in an image's config. It returns nil if the config does not contain a
// plan. The note describes in one line what is missing; it is empty if the plan is complete.
func FromConfig(config []byte, name string) (prev *group.Previous, note string) {
	var image struct {
		History []entry `json:"history"`
	}
	if err := json.Unmarshal(config, &image); err != nil {
		return nil, fmt.Sprintf("%s: reading the history: %s: planning without the previous layout", name, err)
	}
	var l layout
	foreign, damaged := 0, error(nil)
	for _, h := range image.History {
		if h.EmptyLayer {
			continue
		}
		switch err := l.history(h); {
		case errors.Is(err, errForeign):
			foreign++
		case err != nil && damaged == nil:
			damaged = err
		}
	}
	switch {
	case damaged != nil:
		note = fmt.Sprintf("%s: %s: %s", name, damaged, l.used("that are undamaged"))
	case len(l.layers) == 0:
		note = name + " was made by another tool, and none of its layers can be reused: planning without the previous layout"
	case !l.known:
		note = name + " contains no fingerprints, so all its components count as unchanged"
	case foreign > 0:
		note = fmt.Sprintf("%s contains %s made by another tool: %s", name, console.Plural(foreign, "more layer"), l.used("made by chunkah"))
	}
	return l.previous(), note
}

// FromHistory reads the history entry of one layer. It returns nil if neither this chunkah nor the
// Rust chunkah made the layer. whole is set if the record is complete; otherwise it contains only
// the components' names.
func FromHistory(h v1.History) (l *format.Layer, whole bool) {
	if strings.HasPrefix(h.Comment, recordStart) {
		rec, err := format.NewSequenceReader(strings.NewReader(h.Comment), "a layer's history").Next()
		if l, ok := rec.(*format.Layer); ok && err == nil {
			return l, true
		}
		return nil, false
	}
	switch {
	case h.CreatedBy != Author || h.Comment == "":
		return nil, false
	case h.Author == Author: // the Rust chunkah
		return &format.Layer{Components: strings.Fields(h.Comment)}, false
	}
	return &format.Layer{Components: strings.Split(h.Comment, ", ")}, false
}

// recordStart is the start of a comment with a layer's record.
const recordStart = `{"layer":`

// errForeign means that the layer was not made by chunkah.
var errForeign = errors.New("layer of another tool")

// history adds the layer of one history entry. If the entry does not contain a record, the layer
// has only component names and no state. This also applies to layers made by the Rust chunkah,
// which sets the author. The tars of the two programs differ, so clients download such layers once
// more, but the components are grouped in the same way as before.
func (l *layout) history(h entry) error {
	switch {
	case strings.HasPrefix(h.Comment, recordStart):
		return l.read(strings.NewReader(h.Comment), "a layer's history")
	case h.CreatedBy != Author || h.Author != "" && h.Author != Author || h.Comment == "":
		return errForeign
	case h.Author == Author:
		return l.add(&format.Layer{Components: strings.Fields(h.Comment)})
	}
	return l.add(&format.Layer{Components: strings.Split(h.Comment, ", ")})
}
