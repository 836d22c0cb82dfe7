package plan

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/group"
)

func TestFromConfig(t *testing.T) {
	config := func(entries ...entry) string {
		data, err := json.Marshal(map[string]any{"architecture": "amd64", "history": entries})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	a := entry{CreatedBy: Author, Comment: strings.TrimSpace(lineA)}
	c := entry{CreatedBy: Author, Comment: strings.TrimSpace(lineC)}
	names := entry{CreatedBy: Author, Comment: "a, b"}
	tests := []struct {
		name, config string
		want         [][]group.Member
		note         string
	}{
		{"of this version", config(a, c), [][]group.Member{layerA, layerC}, ""},
		{"with an empty layer", config(a, entry{EmptyLayer: true, Comment: "x"}, c), [][]group.Member{layerA, layerC}, ""},
		{"with a step on top", config(a, c, entry{CreatedBy: "RUN x"}), [][]group.Member{layerA, layerC}, "contains 1 more layer made by another tool"},
		{"names alone", config(names), [][]group.Member{{{Name: "a"}, {Name: "b"}}}, "contains no fingerprints"},
		{"of the Rust chunkah", config(entry{CreatedBy: Author, Author: Author, Comment: "a b"}), [][]group.Member{{{Name: "a"}, {Name: "b"}}}, "contains no fingerprints"},
		{"of somebody else", config(entry{CreatedBy: Author, Author: "x", Comment: "a b"}), nil, "made by another tool"},
		{"of docker", config(entry{CreatedBy: "/bin/sh -c #(nop) ADD file"}), nil, "made by another tool"},
		{"without a history", config(), nil, "made by another tool"},
		{"a damaged entry", config(a, entry{CreatedBy: Author, Comment: `{"layer":{"inde`}, c), [][]group.Member{layerA, layerC}, "using the 2 layers that are undamaged"},
		{"not an object", "[]", nil, "planning without the previous layout"},
		{"nothing", "", nil, "planning without the previous layout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prev, note := FromConfig([]byte(tt.config), "image")
			if got := layersOf(prev); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !strings.Contains(note, tt.note) || tt.note == "" && note != "" || strings.Contains(note, "\n") {
				t.Errorf("got the note %q, want one with %q", note, tt.note)
			}
		})
	}
}

func TestFromHistory(t *testing.T) {
	tests := []struct {
		name    string
		history v1.History
		want    *format.Layer
		whole   bool
	}{
		{"a record", v1.History{CreatedBy: Author, Comment: strings.TrimSpace(lineC)},
			&format.Layer{Index: 1, Components: []string{"c"}, Fingerprints: []string{"3"}, StabilityPPM: 5}, true},
		{"names alone", v1.History{CreatedBy: Author, Comment: "a, b c"}, &format.Layer{Components: []string{"a", "b c"}}, false},
		{"of the Rust chunkah", v1.History{CreatedBy: Author, Author: Author, Comment: "a b"}, &format.Layer{Components: []string{"a", "b"}}, false},
		{"a damaged record", v1.History{CreatedBy: Author, Comment: `{"layer":{"inde`}, nil, false},
		{"another record", v1.History{CreatedBy: Author, Comment: `{"layer":7}`}, nil, false},
		{"of docker", v1.History{CreatedBy: "/bin/sh -c #(nop) ADD file", Comment: "buildkit"}, nil, false},
		{"nothing", v1.History{}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, whole := FromHistory(tt.history); !reflect.DeepEqual(got, tt.want) || whole != tt.whole {
				t.Errorf("got %+v, %v", got, whole)
			}
		})
	}
}
