package contentid

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"

	"chunkah/format"
	"chunkah/lib/layer"
)

// Every image contains IDs. If their definition changed unnoticed, the next build would lose all
// times.
func TestPinned(t *testing.T) {
	c := New(Attributes{1, 2, 3, 4, 5, 6, 7, 8})
	for _, text := range []string{"a file\n", strings.Repeat("a large file\n", 10_000)} {
		var f File
		out := f.To(io.Discard)
		for len(text) > 0 {
			n := min(len(text), 1000)
			if _, err := io.WriteString(out, text[:n]); err != nil {
				t.Fatal(err)
			}
			text = text[n:]
		}
		c.Add(f.Sum())
	}
	if got, want := c.ID(), "0102030476bbdf7a4def9d4e"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := Fingerprint(1234, "0123"), "b3c4e8e66fb66d9b"; got != want {
		t.Errorf("the fingerprint is %s, want %s", got, want)
	}
}

// A hash does not depend on the sizes of writes, and a File can be used again.
func TestFile(t *testing.T) {
	text := strings.Repeat("0123456789", 100_000)
	var f File
	for _, size := range []int{1, 7, 1000, 4096, len(text)} {
		var kept strings.Builder
		out := f.To(&kept)
		for at := 0; at < len(text); at += size {
			if _, err := io.WriteString(out, text[at:min(at+size, len(text))]); err != nil {
				t.Fatal(err)
			}
		}
		if f.Sum() != xxh3.HashString(text) || kept.String() != text {
			t.Errorf("pieces of %d bytes: another hash, or other bytes", size)
		}
	}
}

// An ID consists of the attributes and the hash of all files in order.
func TestID(t *testing.T) {
	id := func(a Attributes, sums ...uint64) string {
		c := New(a)
		for _, s := range sums {
			c.Add(s)
		}
		return c.ID()
	}
	a, b, c := Attributes{1}, Attributes{2}, Attributes{1, 7: 1}
	known := map[string]bool{a.Incomplete(): true, b.Incomplete(): true}
	for _, id := range []string{id(a), id(b), id(c), id(a, 1), id(a, 2), id(a, 1, 2), id(a, 2, 1), id(a, 1, 1)} {
		if known[id] {
			t.Errorf("%s occurs twice", id)
		}
		known[id] = true
	}
	if !a.CanBe(id(a, 1)) || !a.CanBe(id(c, 1)) || a.CanBe(id(b, 1)) || a.CanBe("") || a.CanBe("0123456789abcdef") {
		t.Error("CanBe is wrong")
	}
}

// texts provides the contents of files. Each file contains its own path, repeated up to its size.
type texts struct{}

func (texts) WriteFile(_ context.Context, w io.Writer, f *format.File) (int64, error) {
	n, err := io.WriteString(w, strings.Repeat(f.Path, int(f.Size))[:f.Size])
	return int64(n), err
}

// A completer sets only IDs and fingerprints that were incomplete.
func TestComplete(t *testing.T) {
	a, b := Attributes{1}, Attributes{2}
	files := []*format.File{
		{Path: "/", Type: format.TypeDir},
		{Path: "/a", Type: format.TypeFile, Size: 5, Components: []string{"a"}},
		{Path: "/b", Type: format.TypeFile, Size: 70_000, Components: []string{"b"}},
		{Path: "/c", Type: format.TypeFile, Size: 6, Components: []string{"a"}, Hardlink: 1},
		{Path: "/d", Type: format.TypeFile, Size: 6, Components: []string{"a"}, Hardlink: 1},
		{Path: "/e", Type: format.TypeFile, Components: []string{"a"}},
		{Path: "/f", Type: format.TypeFile, Size: 7, Components: []string{"c"}},
	}
	hash := func(f *format.File) uint64 { return xxh3.HashString(strings.Repeat(f.Path, int(f.Size))[:f.Size]) }
	ofA, ofB := New(a), New(b)
	ofA.Add(hash(files[1]))
	ofA.Add(hash(files[3]))
	ofB.Add(hash(files[2]))
	rec := &format.Layer{
		Components: []string{"a", "b", "c", "d"}, Times: []int64{10, 20, 30, 40},
		Contents:     []string{a.Incomplete(), b.Incomplete(), "complete", ""},
		Fingerprints: []string{Fingerprint(10, a.Incomplete()), "given", "c", "d"},
	}
	c := Complete(rec)
	if err := layer.Write(t.Context(), io.Discard, files, c.Content(texts{})); err != nil {
		t.Fatal(err)
	}
	c.Done()
	wantContents := []string{ofA.ID(), ofB.ID(), "complete", ""}
	wantPrints := []string{Fingerprint(10, ofA.ID()), "given", "c", "d"}
	for i := range rec.Components {
		if rec.Contents[i] != wantContents[i] || rec.Fingerprints[i] != wantPrints[i] {
			t.Errorf("%s: got %s and %s, want %s and %s", rec.Components[i], rec.Contents[i], rec.Fingerprints[i], wantContents[i], wantPrints[i])
		}
	}
	if Complete(rec) != nil {
		t.Error("the record is not complete")
	}
	var none *Completer
	none.Done()
	if none.Content(texts{}) != (texts{}) {
		t.Error("a complete layer is hashed")
	}
}

// Strings in records can contain anything.
func TestCompleteIgnoresOthers(t *testing.T) {
	for _, text := range []string{"", "+", "0123456789abcdef", "0123456789abcdeg+", "0123456789abcdef0+", "x+"} {
		if Complete(&format.Layer{Components: []string{"a"}, Times: []int64{1}, Contents: []string{text}}) != nil {
			t.Errorf("%q counts as incomplete", text)
		}
	}
	if Complete(&format.Layer{Components: []string{"a"}, Contents: []string{Attributes{}.Incomplete()}}) != nil {
		t.Error("a record without times is completed")
	}
}
