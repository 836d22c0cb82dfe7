package format

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A sequence needs no header, no end and no order. A truncated record is still an error, and the
// reader for stages is still strict.
func TestSequenceReader(t *testing.T) {
	const layer = `{"layer":{"components":["a"]}}`
	tests := []struct {
		name, in string
		kinds    string // kinds of the records before the end or the fault
		class    Class  // empty if there is no fault
	}{
		{"nothing", "", "", ""},
		{"white space", "\n \n", "", ""},
		{"layers", layer + "\n" + layer, "layer layer", ""},
		{"any order", `{"end":{}}` + layer + `{"file":{"path":"/b"` + `,"type":"file"}}{"file":{"path":"/a","type":"file"}}{"header":{}}{"header":{}}`,
			"end layer file file header header", ""},
		{"any index", `{"layer":{"index":7}}{"layer":{"index":7}}{"layer":{}}`, "layer layer layer", ""},
		{"msgpack", "\x81\xa5layer\x80\x81\xa3end\x80", "layer end", ""},
		{"cut", layer + layer[:9], "layer", ClassTruncated},
		{"value", layer + `{"layer":{"index":-1}}` + layer, "layer", ClassValue},
		{"syntax", layer + `]`, "layer", ClassSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewSequenceReader(iotest.OneByteReader(strings.NewReader(tt.in)), "in")
			var kinds []string
			rec, err := r.Next()
			for ; err == nil; rec, err = r.Next() {
				kinds = append(kinds, rec.kind().String())
			}
			if got := strings.Join(kinds, " "); got != tt.kinds {
				t.Errorf("got %q, want %q", got, tt.kinds)
			}
			var fault *Error
			switch {
			case tt.class == "" && err != io.EOF:
				t.Errorf("got %v at the end", err)
			case tt.class != "" && (!errors.As(err, &fault) || fault.Class != tt.class || fault.Record != int64(len(kinds))+1):
				t.Errorf("got %v, want class %s of record %d", err, tt.class, len(kinds)+1)
			}
			if _, again := r.Next(); !errors.Is(again, err) {
				t.Errorf("got %v, then %v", err, again)
			}
		})
	}
	if _, err := NewReader(strings.NewReader(layer), "in").Next(); err == nil {
		t.Error("a stream may begin with a layer")
	}
}

func TestLine(t *testing.T) {
	got, err := Line(&Layer{Index: 3, Components: []string{"a\n"}, StabilityPPM: 1})
	if want := `{"layer":{"index":3,"components":["a\n"],"stability_ppm":1}}`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if _, err := Line(&Component{}); err == nil {
		t.Error("an invalid record has a line")
	}
}
