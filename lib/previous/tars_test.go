package previous

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/image"
	"chunkah/lib/pack"
	"chunkah/lib/patch"
	"chunkah/lib/proofs"
	"chunkah/lib/regular"
)

const entriesOfTest = "sha256:0000000000000000000000000000000000000000000000000000000000000001"

// layoutOf returns an image whose only layer is text.
func layoutOf(t *testing.T, text string) (img *image.Image, blob string) {
	t.Helper()
	dir := t.TempDir()
	d := digest.FromString(text)
	blob = filepath.Join(dir, "blobs/sha256", d.Encoded())
	if err := os.MkdirAll(filepath.Dir(blob), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	fetch, err := image.OpenLayout(t.Context(), image.Location{Path: dir}, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	made := image.Layer{Descriptor: v1.Descriptor{Digest: d, Size: int64(len(text))}, DiffID: d}
	return image.Assemble(image.Location{Path: dir, Transport: &image.Transport{}}, fetch, []image.Layer{made}), blob
}

// searchOf returns a search for the files of the image's layer, with proven entries.
func searchOf(img *image.Image) *search {
	s := &search{img: img, proven: proofs.Open(""), image: &pack.Image{Layers: make([]pack.ImageLayer, 1)}}
	s.proven.AddEntries(img.Layers[0].DiffID, entriesOfTest)
	s.image.Layers[0] = pack.ImageLayer{
		Layer: patch.Layer{Files: filelist.Of(&format.File{Path: "/", Type: format.TypeDir})}, Record: &format.Layer{Entries: entriesOfTest},
	}
	return s
}

// Pack can read only tars that are on this machine, and whose files this user has verified.
func TestTarsOfProvenLayers(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*search)
		want   bool
	}{
		"proven":                       {func(*search) {}, true},
		"proven, not in the history":   {func(s *search) { s.image.Layers[0].Record, s.image.Layers[0].Entries = nil, entriesOfTest }, true},
		"other entries in the history": {func(s *search) { s.image.Layers[0].Record.Entries = entriesOfTest[:70] + "2" }, false},
		"unknown entries":              {func(s *search) { s.image.Layers[0].Record = nil }, false},
		"no proof":                     {func(s *search) { s.proven = proofs.Open("") }, false},
		"compressed":                   {func(s *search) { s.img.Layers[0].Descriptor.Digest = digest.FromString("gzip") }, false},
		"in a registry":                {func(s *search) { s.img.Source.Transport = &image.Transport{Network: true} }, false},
	} {
		img, _ := layoutOf(t, "text")
		s := searchOf(img)
		test.change(s)
		s.setTars()
		if got := s.image.Layers[0].Open != nil; got != test.want {
			t.Errorf("%s: got %t, want %t", name, got, test.want)
		}
	}
}

// A verified tar gets a description of its file, so that later changes to the file are noticed. A
// file that is too new for this, or that changed while it was read, gets no description.
func TestVerifiedTar(t *testing.T) {
	t.Parallel()
	read := func(during func(blob string)) (*pack.ImageLayer, string) {
		img, blob := layoutOf(t, "text")
		s := searchOf(img)
		s.setTars()
		at := &s.image.Layers[0]
		if during == nil {
			during = func(string) {}
		} else {
			time.Sleep(2100 * time.Millisecond)
		}
		in, err := at.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if data, err := io.ReadAll(in); string(data) != "text" || err != nil {
			t.Fatalf("read %q, %v", data, err)
		}
		during(blob)
		in.Proven()
		return at, blob
	}
	at, blob := read(func(string) {})
	if info, err := os.Stat(blob); err != nil || at.Verified == nil || !regular.Unchanged(at.Verified, info) {
		t.Errorf("got %v, %v", at.Verified, err)
	}
	if at, _ := read(nil); at.Verified != nil {
		t.Error("a file that is too new is described")
	}
	if at, _ := read(func(blob string) {
		if err := os.WriteFile(blob, []byte("t3xt"), 0o666); err != nil {
			t.Fatal(err)
		}
	}); at.Verified != nil {
		t.Error("a file that changed is described")
	}
}

// A blob that would first have to be downloaded or assembled is not read.
func TestTarNotInPlace(t *testing.T) {
	img := image.Assemble(image.Location{}, remote{}, nil)
	if in, err := openTar(t.Context(), img, image.Layer{}, &pack.ImageLayer{}); err == nil {
		t.Errorf("got %v", in)
	}
}

type remote struct{ image.Fetcher }

func (remote) Blob(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader()), nil
}
