package plan

import (
	"errors"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"chunkah/format"
	"chunkah/lib/group"
)

const (
	lineA = `{"layer":{"index":0,"components":["a","b"],"fingerprints":["1","2"],"stability_ppm":5}}` + "\n"
	lineC = `{"layer":{"index":1,"components":["c"],"fingerprints":["3"],"stability_ppm":5}}` + "\n"
)

var (
	layerA = []group.Member{{Name: "a", Fingerprint: "1"}, {Name: "b", Fingerprint: "2"}}
	layerC = []group.Member{{Name: "c", Fingerprint: "3"}}
)

func layersOf(prev *group.Previous) [][]group.Member {
	if prev == nil {
		return nil
	}
	return prev.Layers
}

func TestRead(t *testing.T) {
	packed := `{"header":{"stage":"pack"}}{"component":{"name":"a"}}` + lineA +
		`{"file":{"path":"/","type":"dir"}}{"file":{"path":"/a","type":"file"}}` + lineC +
		`{"file":{"path":"/","type":"dir"}}{"file":{"path":"/c","type":"file"}}{"end":{}}`
	tests := []struct {
		name, in string
		want     [][]group.Member
		note     string // part of the note
	}{
		{"bare", lineA + lineC, [][]group.Member{layerA, layerC}, ""},
		{"no newline at the end", strings.TrimSpace(lineA + lineC), [][]group.Member{layerA, layerC}, ""},
		{"a whole stream", packed, [][]group.Member{layerA, layerC}, ""},
		{"other order and indexes", lineC + lineA + lineC, [][]group.Member{layerC, layerA, layerC}, ""},
		{"no indexes", `{"layer":{"components":["c"],"fingerprints":["3"]}}` + lineA, [][]group.Member{layerC, layerA}, ""},
		{"msgpack", "\x81\xa5layer\x82\xaacomponents\x91\xa1c\xacfingerprints\x91\xa13", [][]group.Member{layerC}, ""},
		{"too few times", lineC + `{"layer":{"components":["a","b"],"times":[1]}}`, [][]group.Member{layerC}, "using the one layer"},
		{"a layer of nothing", `{"layer":{}}` + lineC, [][]group.Member{layerC}, ""},
		{"empty", "", nil, "contains no layers: planning without the previous layout"},
		{"white space", " \n", nil, "contains no layers: planning without the previous layout"},
		{"no layers", `{"header":{}}{"end":{}}`, nil, "contains no layers: planning without the previous layout"},
		{"cut", lineA + lineC[:40], [][]group.Member{layerA}, "after record 1: the next record is incomplete: using the one layer before the damage"},
		{"unknown kind", lineA + lineC + `{"level":{}}`, [][]group.Member{layerA, layerC}, `unknown record kind "level": using the 2 layers before the damage`},
		{"unknown field", lineA + `{"layer":{"level":1}}` + lineC, [][]group.Member{layerA}, "using the one layer"},
		{"not a plan", "hello", nil, "planning without the previous layout"},
		{"another JSON", `{"schemaVersion":2}`, nil, "planning without the previous layout"},
		{"zeros", "\x00\x00\x00", nil, "planning without the previous layout"},
		{"too few fingerprints", `{"layer":{"components":["a","b"],"fingerprints":["1"]}}`, nil, "planning without the previous layout"},
		{"no fingerprints", `{"layer":{"components":["a"]}}`, [][]group.Member{{{Name: "a"}}}, "contains no fingerprints"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prev, note, err := Read(iotest.OneByteReader(strings.NewReader(tt.in)), "p")
			if err != nil {
				t.Fatal(err)
			}
			if got := layersOf(prev); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !strings.Contains(note, tt.note) || tt.note == "" && note != "" || strings.Contains(note, "\n") {
				t.Errorf("got the note %q, want one with %q", note, tt.note)
			}
			if note != "" && !strings.HasPrefix(note, "p") {
				t.Errorf("the note %q does not name the plan", note)
			}
		})
	}
}

// An unreadable file is not treated as a damaged plan.
func TestReadFails(t *testing.T) {
	broken := iotest.ErrReader(os.ErrPermission)
	if _, _, err := Read(broken, "p"); !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

// forever is an endless plan.
type forever struct {
	line string
	read int
}

func (f *forever) Read(p []byte) (int, error) {
	n := 0
	for n+len(f.line) <= len(p) {
		n += copy(p[n:], f.line)
	}
	f.read += n
	return n, nil
}

// A time is used only together with the contents to which it belongs.
func TestReadTimes(t *testing.T) {
	for in, want := range map[string]map[string]group.Dated{
		`{"layer":{"components":["a","c"],"times":[7,-8],"contents":["x",""]}}`: {"a": {Contents: "x", Time: 7}},
		`{"layer":{"components":["a"],"times":[7]}}`:                            {},
		`{"layer":{"components":["a"],"contents":["x"]}}`:                       {},
		lineA: {},
	} {
		prev, _, err := Read(strings.NewReader(in), "p")
		if err != nil || !maps.Equal(prev.Times, want) {
			t.Errorf("%s: got %v, %v", in, prev, err)
		}
	}
}

// The learned data of a component are read from the uppermost layer that contains the component. A
// number that is out of range ends the plan, like any other damage.
func TestReadLearned(t *testing.T) {
	for in, want := range map[string]map[string]group.Learned{
		`{"layer":{"components":["a","b","c"],"updated":[20000,0,0],"surprises":[0,5,0]}}`:                          {"a": {Updated: 20000}, "b": {Surprises: 5}},
		`{"layer":{"components":["a"],"surprises":[7]}}` + lineA:                                                    {},
		`{"layer":{"components":["a"],"updated":[9]}}{"layer":{"components":["a"],"updated":[10],"surprises":[3]}}`: {"a": {Updated: 10, Surprises: 3}},
		lineA: {},
		lineA + `{"layer":{"components":["x"],"surprises":[4294967296]}}`: {},
		lineA + `{"layer":{"components":["x"],"surprises":[-1]}}`:         {},
		lineA + `{"layer":{"components":["x"],"updated":[-1]}}`:           {},
	} {
		prev, note, err := Read(strings.NewReader(in), "p")
		if err != nil || !maps.Equal(prev.Learned, want) {
			t.Errorf("%s: got %v, %v", in, prev, err)
		}
		if strings.HasPrefix(in, lineA+"{") && !strings.Contains(note, "using the one layer before the damage") {
			t.Errorf("%s: %q", in, note)
		}
	}
}

func TestReadIsBounded(t *testing.T) {
	many := `{"layer":{"components":["` + strings.Repeat(`a","`, 1000) + `a"]}}`
	long := `{"layer":{"components":["` + strings.Repeat("a", 60_000) + `"]}}`
	for name, line := range map[string]string{"layers": strings.TrimSpace(lineC), "members": many, "text": long} {
		in := &forever{line: line}
		prev, note, err := Read(in, "p")
		if err != nil || !strings.Contains(note, "too large for a plan") || len(layersOf(prev)) == 0 {
			t.Errorf("%s: got %d layers, %q, %v", name, len(layersOf(prev)), note, err)
		}
		if in.read > 80<<20 {
			t.Errorf("%s: %d bytes were read", name, in.read)
		}
	}
}

func TestMarshal(t *testing.T) {
	layers := []*format.Layer{
		{Index: 0, Components: []string{"a", "b"}, Fingerprints: []string{"1", "2"}, StabilityPPM: 5},
		{Index: 1, Components: []string{"c"}, Fingerprints: []string{"3"}, StabilityPPM: 5},
	}
	data, err := Marshal(layers)
	if err != nil || string(data) != lineA+lineC {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := Marshal([]*format.Layer{{Components: []string{""}}}); err == nil {
		t.Error("a component without a name is in a plan")
	}
}
