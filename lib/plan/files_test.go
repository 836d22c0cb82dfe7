package plan

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"chunkah/format"
	"chunkah/lib/filelist"
)

func digestOf(c string) format.Digest {
	return format.NewDigest([sha256.Size]byte([]byte(strings.Repeat(c, sha256.Size))))
}

// filesOfLayers returns two layers with files of every kind.
func filesOfLayers(t testing.TB) (records []*format.Layer, files [][]*format.File) {
	t.Helper()
	files = [][]*format.File{{
		{Path: "/", Type: format.TypeDir, Mode: 0o755, Implied: true},
		{Path: "/a", Type: format.TypeFile, Mode: 0o644, Size: 5, MTime: 7, MTimeNsec: 3, Stamp: "s", Digest: digestOf("a"), Components: []string{"x"},
			Xattrs: []format.Xattr{{Name: "user.a", Value: []byte{1}}, {Name: "user.b", Value: []byte{}}, {Name: "user.c", Value: []byte("c")}}},
		{Path: "/b", Type: format.TypeFile, Size: 6, Hardlink: 77, Digest: digestOf("b"), Xattrs: []format.Xattr{{Name: "user.a", Value: []byte{1}}}},
		{Path: "/c", Type: format.TypeFile, Size: 6, Hardlink: 77, Digest: digestOf("b"), Xattrs: []format.Xattr{{Name: "user.a", Value: []byte{1}}}},
		{Path: "/l\xff", Type: format.TypeSymlink, Mode: 0o777, Target: "x"},
		{Path: "/z", Type: format.TypeWhiteout, Mode: 0o600, UID: 5, MTime: 9, Components: []string{"y"}},
	}, {
		{Path: "/", Type: format.TypeDir, Mode: 0o755},
		{Path: "/d", Type: format.TypeChar, DevMajor: 1, DevMinor: 3},
	}}
	for i, list := range files {
		entries, err := EntriesOf(slices.Values(list))
		if err != nil || entries == "" {
			t.Fatal(entries, err)
		}
		records = append(records, &format.Layer{Index: int64(i), Components: []string{fmt.Sprint("c", i)}, Fingerprints: []string{"f"}, Entries: entries})
	}
	return records, files
}

func filesOf(t testing.TB, records []*format.Layer, files [][]*format.File) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewFilesWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range records {
		if err := w.Layer(l); err != nil {
			t.Fatal(err)
		}
		for _, f := range files[i] {
			if err := w.File(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The files that are read equal the files that were written, except for fields that a layer does
// not contain. The digest of the entries is the same too. A list of files is also a plan.
func TestFiles(t *testing.T) {
	records, files := filesOfLayers(t)
	data := filesOf(t, records, files)
	got, note, err := ReadFiles(bytes.NewReader(data), "test")
	if err != nil || note != "" || len(got) != 2 {
		t.Fatalf("%d layers, %q, %v", len(got), note, err)
	}
	for i, l := range records {
		var names links
		var want []*format.File
		for _, f := range files[i] {
			n, _ := normal(f, &names)
			want = append(want, &n)
		}
		list := slices.Collect(filesIn(got, l))
		if !reflect.DeepEqual(list, want) {
			t.Errorf("layer %d: got %+v, want %+v", i, list, want)
		}
		if again, err := EntriesOf(slices.Values(list)); again != l.Entries || err != nil {
			t.Errorf("layer %d: the digest of what was read is %s, want %s", i, again, l.Entries)
		}
	}
	first := slices.Collect(filesIn(got, records[0]))
	a := first[1]
	if a.Stamp != "" || a.Components != nil || a.MTimeNsec != 0 || len(a.Xattrs) != 2 || a.Digest != digestOf("a") {
		t.Errorf("got %+v", a)
	}
	if c := first[3]; c.Hardlink != 1 || c.Digest.Known() || c.Xattrs != nil {
		t.Errorf("a further name is %+v", c)
	}
	prev, note, err := Read(bytes.NewReader(data), "test")
	if err != nil || note != "" || len(prev.Layers) != 2 || prev.Layers[1][0].Name != "c1" {
		t.Errorf("as a plan: %+v, %q, %v", prev, note, err)
	}
}

// Only the complete layers in a damaged list of files are used, and layers with a wrong digest are
// left out.
func TestDamagedFiles(t *testing.T) {
	records, files := filesOfLayers(t)
	data := filesOf(t, records, files)
	for n := range data {
		got, note, err := ReadFiles(bytes.NewReader(data[:n]), "test")
		if err != nil || note == "" {
			t.Fatalf("the first %d bytes: %q, %v", n, note, err)
		}
		isTrue(t, got)
	}
	for n := range data {
		damaged := bytes.Clone(data)
		damaged[n] ^= 1
		got, _, err := ReadFiles(bytes.NewReader(damaged), "test")
		if err != nil {
			t.Fatal(err)
		}
		isTrue(t, got)
	}
	forged := *records[0]
	forged.Entries = records[1].Entries
	got, note, err := ReadFiles(bytes.NewReader(filesOf(t, []*format.Layer{&forged, records[1]}, files)), "test")
	if err != nil || !strings.Contains(note, "skipping the file lists of 1 layers") || len(got) != 1 || len(slices.Collect(filesIn(got, records[1]))) != 2 {
		t.Errorf("forged: %v, %q, %v", got, note, err)
	}
	broken := errors.New("broken")
	if _, _, err := ReadFiles(io.MultiReader(bytes.NewReader(data[:20]), iotest.ErrReader(broken)), "test"); !errors.Is(err, broken) {
		t.Errorf("an error of the reader is %v", err)
	}
}

// Each layer takes time and memory, even an empty one. A small list can contain millions of them.
func TestFilesOfTooManyLayers(t *testing.T) {
	records := make([]*format.Layer, maxLayers+1)
	for i := range records {
		records[i] = &format.Layer{Index: int64(i), Entries: format.EmptyDigest.String()}
	}
	files := make([][]*format.File, len(records))
	for n, want := range map[int]string{
		maxLayers:     "",
		maxLayers + 1: "test: more than 4096 layers: using the 1 layers before the damage",
	} {
		// All layers have the same digest: that of no entries.
		got, note, err := ReadFiles(bytes.NewReader(filesOf(t, records[:n], files[:n])), "test")
		if err != nil || note != want || len(got) != 1 {
			t.Errorf("%d layers: got %d lists, %q, %v", n, len(got), note, err)
		}
	}
}

// filesIn returns the files that were read for a layer.
func filesIn(layers map[string]filelist.List, l *format.Layer) iter.Seq[*format.File] {
	list := layers[l.Entries]
	return list.Copies()
}

// isTrue checks that each list of files matches its digest.
func isTrue(t *testing.T, layers map[string]filelist.List) {
	t.Helper()
	for entries, files := range layers {
		if got, err := EntriesOf(files.All()); got != entries || err != nil {
			t.Errorf("%s: the files have %s, %v", entries, got, err)
		}
	}
}

// The entries of a layer with a file of unknown contents have no digest.
func TestUnknownEntries(t *testing.T) {
	_, files := filesOfLayers(t)
	files[0][1].Digest = format.Digest{}
	if got, err := EntriesOf(slices.Values(files[0])); got != "" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
