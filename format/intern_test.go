package format

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

func TestInternerShares(t *testing.T) {
	in := newInterner()
	for _, name := range []string{"a", "b", "a"} {
		first, second := in.list([]byte(name)), in.list([]byte(name))
		if len(first) != 1 || first[0] != name || &first[0] != &second[0] {
			t.Errorf("got %q and %q, want one list of %q", first, second, name)
		}
		if cap(first) != 1 {
			t.Errorf("got a list with room for %d: appending would change that of others", cap(first))
		}
		if text := in.text([]byte(name)); unsafe.StringData(text) != unsafe.StringData(first[0]) {
			t.Errorf("%q: got a copy of the text", name)
		}
	}
}

func TestInternerIsBounded(t *testing.T) {
	in := newInterner()
	for i := range maxInterned + 100 {
		name := fmt.Sprint(i)
		if got := in.text([]byte(name)); got != name {
			t.Fatalf("got %q, want %q", got, name)
		}
	}
	if len(in.lists) != maxInterned {
		t.Errorf("got %d texts kept, want %d", len(in.lists), maxInterned)
	}
	in = newInterner()
	long := strings.Repeat("x", maxInternedText+1)
	if got := in.text([]byte(long)); got != long || len(in.lists) != 0 || in.last != nil {
		t.Errorf("got a text of %d bytes kept, want none above %d", len(long), maxInternedText)
	}
}

func TestListsOfSeveralComponentsAreNotShared(t *testing.T) {
	const text = `{"header":{}}` +
		`{"file":{"path":"/a","type":"dir","components":["x"]}}` +
		`{"file":{"path":"/b","type":"dir","components":["x","y"]}}` +
		`{"file":{"path":"/c","type":"dir","components":["x"]}}{"end":{}}`
	recs, err := readAll(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	b := recs[2].(*File)
	b.Components[0] = "changed"
	for _, i := range []int{1, 3} {
		if got := recs[i].(*File).Components; len(got) != 1 || got[0] != "x" {
			t.Errorf("record %d: got %q, want [x]", i, got)
		}
	}
}
