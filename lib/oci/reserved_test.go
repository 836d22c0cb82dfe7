package oci

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestReservedEntriesAndBlobsMakeTheSameArchive checks that entries written in any order result in
// the same bytes as blobs written in order.
func TestReservedEntriesAndBlobsMakeTheSameArchive(t *testing.T) {
	blobs := [][]byte{bytes.Repeat([]byte("a"), 1000), {}, bytes.Repeat([]byte("b"), 1024)}
	index, manifest, config := smallIndex(t)

	var inOrder bytes.Buffer
	a := NewArchive(&inOrder)
	for _, b := range blobs {
		put(t, a, b)
	}
	put(t, a, manifest)
	put(t, a, config)
	if err := appear(a, index); err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(t.TempDir(), "out.ociarchive")
	a, err := CreateArchive(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for _, b := range blobs {
		sizes = append(sizes, int64(len(b)))
	}
	entries := reserve(t, a, sizes...)
	for i, blob := range slices.Backward(blobs) {
		if _, err := io.Copy(entries[i], bytes.NewReader(blob)); err != nil {
			t.Fatal(err)
		}
		if err := entries[i].Commit(digest.FromBytes(blob), int64(len(blob))); err != nil {
			t.Fatal(err)
		}
	}
	put(t, a, manifest)
	put(t, a, config)
	if err := appear(a, index); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, inOrder.Bytes()) {
		t.Errorf("%d bytes reserved differ from %d written in order", len(got), inOrder.Len())
	}
}

func TestReservedEntryHoldsItsSize(t *testing.T) {
	for _, c := range []struct {
		name string
		data string
	}{{"too short", "12"}, {"too long", "1234"}} {
		path := filepath.Join(t.TempDir(), "out")
		a, err := CreateArchive(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		entry := reserve(t, a, 3)[0]
		_, err = io.WriteString(entry, c.data)
		if err == nil {
			err = entry.Commit(digest.FromString(c.data), int64(len(c.data)))
		}
		if err == nil {
			t.Errorf("%s: no error", c.name)
		}
		if err := a.Discard(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file is left", c.name)
		}
	}
}

func TestNoEntryWithoutAFile(t *testing.T) {
	a := NewArchive(&bytes.Buffer{})
	for _, open := range []bool{false, true} {
		if entry, err := a.NewBlob(1, open); entry != nil || err != nil || a.Traits().Access != AppendOnly {
			t.Errorf("got %v and %v, want none", entry, err)
		}
	}
}

// reserve reserves entries for blobs of these sizes.
func reserve(t *testing.T, d Destination, sizes ...int64) (entries []BlobWriter) {
	t.Helper()
	for _, size := range sizes {
		e, err := d.NewBlob(size, false)
		if err != nil || e == nil {
			t.Fatalf("got %v and %v, want an entry", e, err)
		}
		entries = append(entries, e)
	}
	return entries
}

// TestOpenEntriesAndBlobsMakeTheSameArchive checks that blobs of unknown sizes result in the same
// bytes as blobs of known sizes, even if there are several such blobs in sequence.
func TestOpenEntriesAndBlobsMakeTheSameArchive(t *testing.T) {
	blobs := [][]byte{bytes.Repeat([]byte("a"), 1000), bytes.Repeat([]byte("b"), 1024), {}, []byte("c")}
	index, manifest, config := smallIndex(t)
	write := func(a *Archive, known func(i int) bool) {
		for i, b := range blobs {
			if known(i) {
				put(t, a, b)
				continue
			}
			entry, err := a.NewBlob(1024, true)
			if err != nil || entry == nil {
				t.Fatalf("got %v and %v, want an entry", entry, err)
			}
			if _, err := entry.Write(b[:len(b)/2]); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(entry, bytes.NewReader(b[len(b)/2:])); n != int64(len(b)-len(b)/2) || err != nil {
				t.Fatalf("copied %d bytes and %v", n, err)
			}
			if err := entry.Commit(digest.FromBytes(b), int64(len(b))); err != nil {
				t.Fatal(err)
			}
		}
		put(t, a, manifest)
		put(t, a, config)
		if err := appear(a, index); err != nil {
			t.Fatal(err)
		}
	}
	var inOrder bytes.Buffer
	write(NewArchive(&inOrder), func(int) bool { return true })
	for name, known := range map[string]func(int) bool{
		"all open": func(int) bool { return false },
		"by turns": func(i int) bool { return i%2 == 0 },
	} {
		path := filepath.Join(t.TempDir(), "out.ociarchive")
		a, err := CreateArchive(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		write(a, known)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, inOrder.Bytes()) {
			t.Errorf("%s: %d bytes differ from %d written in order", name, len(got), inOrder.Len())
		}
	}
}

// TestOpenEntryHoldsItsBound checks that an entry's size cannot exceed its limit, because its
// header is reserved.
func TestOpenEntryHoldsItsBound(t *testing.T) {
	for name, write := range map[string]func(BlobWriter) error{
		"written": func(entry BlobWriter) error { _, err := entry.Write([]byte("1234")); return err },
		"copied":  func(entry BlobWriter) error { _, err := io.Copy(entry, bytes.NewReader([]byte("1234"))); return err },
	} {
		path := filepath.Join(t.TempDir(), "out")
		a, err := CreateArchive(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		entry, err := a.NewBlob(3, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(entry); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := a.Discard(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file is left", name)
		}
	}
}

// TestOpenEntryOfAnotherSize checks that an incomplete blob is refused.
func TestOpenEntryOfAnotherSize(t *testing.T) {
	a, err := CreateArchive(filepath.Join(t.TempDir(), "out"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Discard()
	entry, err := a.NewBlob(10, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := entry.Commit(digest.FromString("abcd"), 4); err == nil {
		t.Error("three bytes of four: no error")
	}
}

func TestNoOpenEntry(t *testing.T) {
	a, err := CreateArchive(filepath.Join(t.TempDir(), "out"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Discard()
	if entry, err := a.NewBlob(maxUstar+1, true); entry != nil || err != nil {
		t.Errorf("for a size that needs a record: got %v and %v, want none", entry, err)
	}
}

func put(t *testing.T, a Destination, b []byte) {
	t.Helper()
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := a.Blob(d, Hint{}, Data(b)); err != nil {
		t.Fatal(err)
	}
}

// smallIndex returns the index, manifest and config of an image with one layer.
func smallIndex(t *testing.T) (index, manifest, config []byte) {
	t.Helper()
	c := &Config{}
	if err := c.SetArch("amd64"); err != nil {
		t.Fatal(err)
	}
	data := []byte{}
	d := digest.FromBytes(data)
	img := Image{Config: c, Layers: []Layer{{
		Descriptor: v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: d, Size: 0}, DiffID: d,
		History: v1.History{CreatedBy: "chunkah"},
	}}}
	built, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	return built.Index, built.Manifest.Data, built.Config.Data
}
