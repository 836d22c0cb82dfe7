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

// TestSlotsAndBlobsMakeTheSameArchive: what is written in any order has the bytes of what is written in order.
func TestSlotsAndBlobsMakeTheSameArchive(t *testing.T) {
	blobs := [][]byte{bytes.Repeat([]byte("a"), 1000), {}, bytes.Repeat([]byte("b"), 1024)}
	index, manifest, config := smallIndex(t)

	var inOrder bytes.Buffer
	a := NewArchive(&inOrder, Options{})
	for _, b := range blobs {
		put(t, a, b)
	}
	put(t, a, manifest)
	put(t, a, config)
	if err := a.Commit(index); err != nil {
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
	slots, err := a.Reserve(sizes)
	if err != nil || len(slots) != len(blobs) {
		t.Fatalf("got %d slots and %v, want %d", len(slots), err, len(blobs))
	}
	for i, blob := range slices.Backward(blobs) {
		if _, err := io.Copy(slots[i], bytes.NewReader(blob)); err != nil {
			t.Fatal(err)
		}
		if err := slots[i].Commit(digest.FromBytes(blob)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, a, manifest)
	put(t, a, config)
	if err := a.Commit(index); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, inOrder.Bytes()) {
		t.Errorf("%d bytes written by slots differ from %d written in order", len(got), inOrder.Len())
	}
}

func TestSlotHoldsItsSize(t *testing.T) {
	for _, c := range []struct {
		name string
		data string
	}{{"too short", "12"}, {"too long", "1234"}} {
		path := filepath.Join(t.TempDir(), "out")
		a, err := CreateArchive(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		slots, err := a.Reserve([]int64{3})
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(slots[0], c.data)
		if err == nil {
			err = slots[0].Commit(digest.FromString(c.data))
		}
		if err == nil {
			t.Errorf("%s: no error", c.name)
		}
		if err := a.Abort(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file is left", c.name)
		}
	}
}

func TestNoSlotsWithoutAFile(t *testing.T) {
	slots, err := NewArchive(&bytes.Buffer{}, Options{}).Reserve([]int64{1})
	if slots != nil || err != nil {
		t.Errorf("got %v and %v, want none", slots, err)
	}
}

func put(t *testing.T, a Destination, b []byte) {
	t.Helper()
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := a.Blob(d, Data(b)); err != nil {
		t.Fatal(err)
	}
}

// smallIndex is the index, manifest and config of an image of one layer.
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
