package plan

import (
	"bytes"
	"maps"
	"reflect"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/group"
	"chunkah/tests/bound"
)

func FuzzRead(f *testing.F) {
	f.Add(lineA + lineC)
	f.Add(`{"layer":{"components":["a","b"],"updated":[20000,0],"surprises":[0,4294967295]}}`)
	f.Add("\x81\xa5layer\x80")
	f.Add("\x81\xa5layer\x82\xaacomponents\x91\xa1c\xacfingerprints\x91\xa13")
	f.Add(`{"layer":{"index":9,"components":["a","a"]}} {"end":{}}`)
	f.Add("(000000") // starts like zstd data
	f.Fuzz(func(t *testing.T, text string) {
		bound.Input(t, len(text))
		prev, note, err := Read(strings.NewReader(text), "p")
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		size := len(text)
		if strings.HasPrefix(text, string(rune(zstdMagic))) {
			size = maxFilesBytes
		}
		checkPlan(t, prev, note, size)
	})
}

// FuzzReadFiles checks that lists of files match their digests, and that they can be read again
// after they are written.
func FuzzReadFiles(f *testing.F) {
	records, files := filesOfLayers(f)
	f.Add(filesOf(f, records, files))
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		got, note, err := ReadFiles(bytes.NewReader(data), "p")
		if err != nil || strings.Contains(note, "\n") {
			t.Errorf("%q, %v", note, err)
		}
		isTrue(t, got)
	})
}

func FuzzFromConfig(f *testing.F) {
	f.Add(`{"history":[{"created_by":"chunkah","comment":"{\"layer\":{\"components\":[\"a\"]}}"}]}`)
	f.Add(`{"history":[{"created_by":"chunkah","comment":"a, b"},{"empty_layer":true}]}`)
	f.Add(`{"history":[{"created_by":"chunkah","comment":", "},{"created_by":"RUN"},{"created_by":"chunkah","comment":"{\"layer\":{\"components\":"}]}`)
	f.Add(`{"history":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		bound.Input(t, len(text))
		prev, note := FromConfig([]byte(text), "p")
		checkPlan(t, prev, note, len(text))
	})
}

// checkPlan checks that a plan is not larger than its text, is nil only if there is a note, and
// stays the same when it is written and read again.
func checkPlan(t *testing.T, prev *group.Previous, note string, size int) {
	t.Helper()
	if prev == nil && note == "" || strings.Contains(note, "\n") || note != "" && !strings.HasPrefix(note, "p") {
		t.Errorf("got %v with the note %q", prev, note)
	}
	var records []*format.Layer
	members := 0
	for i, l := range layersOf(prev) {
		rec := &format.Layer{Index: int64(i)}
		for _, m := range l {
			rec.Components, rec.Fingerprints = append(rec.Components, m.Name), append(rec.Fingerprints, m.Fingerprint)
			rec.Times = append(rec.Times, prev.Times[m.Name].Time)
			rec.Contents = append(rec.Contents, prev.Times[m.Name].Contents)
			rec.Updated = append(rec.Updated, prev.Learned[m.Name].Updated)
			rec.Surprises = append(rec.Surprises, int64(prev.Learned[m.Name].Surprises))
		}
		if members += len(l); len(l) == 0 || members > size {
			t.Fatalf("layer %d of %d bytes has %d components", i, size, len(l))
		}
		records = append(records, rec)
	}
	data, err := Marshal(records)
	if err != nil {
		return // invalid names in a history match no component and do no harm
	}
	again, _, err := Read(bytes.NewReader(data), "again")
	if err != nil || !reflect.DeepEqual(layersOf(again), layersOf(prev)) {
		t.Errorf("got %v, and written down %v: %v", layersOf(prev), layersOf(again), err)
	}
	if prev != nil && !maps.Equal(again.Times, prev.Times) {
		t.Errorf("got the times %v, and written down %v", prev.Times, again.Times)
	}
	if prev != nil && !maps.Equal(again.Learned, prev.Learned) {
		t.Errorf("learned %v, and written down %v", prev.Learned, again.Learned)
	}
}
