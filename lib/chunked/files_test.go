package chunked

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"chunkah/format"
	"chunkah/lib/plan"
)

// The records from a table of contents equal the entries of its layer.
func TestFiles(t *testing.T) {
	files, contents := sample()
	files = slices.Insert(files, 4, &format.File{Path: "/etc/gone", Type: format.TypeWhiteout})
	_, blob, _ := build(t, files, contents, 1)
	tables, err := Read(bytes.NewReader(blob), int64(len(blob)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Type == format.TypeFile {
			f.Digest = format.NewDigest(sha256.Sum256(contents[f.Path]))
		}
	}
	want, err := plan.EntriesOf(slices.Values(files))
	if err != nil {
		t.Fatal(err)
	}
	found, err := tables.Files()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := plan.EntriesOf(slices.Values(found)); err != nil || got != want || want == "" {
		t.Errorf("got %s, %v, want %s", got, err, want)
		for i, f := range found {
			t.Logf("got %+v\nwant %+v", f, files[i])
		}
	}
	for _, wrong := range []Entry{{Type: "socket", Name: "x"}, {Type: typeLink, Name: "x", Linkname: "y"}, {Type: typeFile, Name: "x", Xattrs: map[string]string{"user.x": "%"}}} {
		if got, err := (&Tables{Entries: []Entry{wrong}}).Files(); err == nil {
			t.Errorf("%+v: got %+v", wrong, got)
		}
	}
}
