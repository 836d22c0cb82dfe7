package tarsplit

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"chunkah/tests/bound"
)

// TestLines reads back the lines that were written.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.Segment(nil) // no line
	w.Segment([]byte("head\x00"))
	w.File("a\"b", 3, []byte{1, 2})
	w.File("empty", 0, nil)
	w.Segment([]byte("end"))
	if w.Err() != nil {
		t.Fatal(w.Err())
	}
	r := NewReader(&out)
	for _, want := range []Line{
		{Type: Segment, Payload: []byte("head\x00")}, {Type: File, Name: "a\"b", Size: 3, Payload: []byte{1, 2}},
		{Type: File, Name: "empty"}, {Type: Segment, Payload: []byte("end")},
	} {
		got, err := r.Next()
		if err != nil || got.Type != want.Type || got.Path() != want.Name || got.Size != want.Size || !bytes.Equal(got.Payload, want.Payload) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestDamage(t *testing.T) {
	for text, want := range map[string]string{
		`{"type":3}`: "type 3", `{"type":1,"size":-1}`: "size -1", `{`: "unexpected end",
		`{"type":2,"payload":"` + strings.Repeat("A", maxLine) + `"}`: "too long",
	} {
		if _, err := NewReader(strings.NewReader(text)).Next(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", text, err, want)
		}
	}
	l := Line{Name: "a?", NameRaw: []byte("a\xff")}
	if l.Path() != "a\xff" {
		t.Errorf("got %q", l.Path())
	}
}

// FuzzReader: lines that were read stay the same when they are written and read again.
func FuzzReader(f *testing.F) {
	f.Add([]byte("{\"type\":2,\"payload\":\"aGVhZA==\"}\n{\"type\":1,\"name\":\"a\",\"size\":4,\"payload\":\"AQ==\"}\n"))
	f.Add([]byte(`{"type":1,"name_raw":"/w==","size":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		r := NewReader(bytes.NewReader(data))
		for {
			l, err := r.Next()
			if err != nil {
				return
			}
			var out bytes.Buffer
			w := NewWriter(&out)
			if l.Type == Segment {
				w.Segment(l.Payload)
			} else {
				w.File(l.Name, l.Size, l.Payload)
			}
			if out.Len() == 0 {
				continue
			}
			again, err := NewReader(&out).Next()
			if err != nil || again.Type != l.Type || l.Type == File && (again.Name != l.Name || again.Size != l.Size) ||
				(l.Type == Segment || l.Size > 0) && !bytes.Equal(again.Payload, l.Payload) {
				t.Fatalf("%+v became %+v, %v", l, again, err)
			}
		}
	})
}
