package image

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/format"
	mk "chunkah/tests/mkimage"
)

// Whatever the tars of two layers hold, they are refused or make a tree of clean
// names, all of whose files can be read.
func FuzzLayers(f *testing.F) {
	whole := mk.Tar(f, mk.Dir("d"), mk.File("d/f", "text"), mk.Link("h", "d/f"), mk.Symlink("s", "d"), mk.File("s/x", "").Xattr("user.x", "y"))
	above := mk.Tar(f, mk.File("d/.wh.f", ""), mk.File(".wh..wh..opq", ""), mk.Device(tar.TypeChar, "c", 1, 3), mk.Link("i", "h"))
	f.Add(whole, above)
	f.Add(above, whole)
	f.Add(oldGNUSparse("s", 200_000, []int64{0, 5, 150_000, 5}, "0123456789"), []byte{})
	f.Add(mk.Tar(f, mk.File("f", "0123456789").But(func(h *tar.Header) {
		h.PAXRecords = map[string]string{"comment": "x"}
	})), whole)
	f.Fuzz(func(t *testing.T, below, above []byte) {
		if len(below)+len(above) > 1<<20 {
			t.Skip("larger than what there is to be found")
		}
		img := &mk.Image{Layers: []mk.Layer{{Tar: withChecksums(below)}, {Tar: withChecksums(above), Packing: mk.Gzip}}}
		blobs := mk.Blobs{}
		files := memory{}
		for _, file := range mk.LayoutFiles(blobs, img.Manifest(t, blobs)) {
			files[file.Name] = file.Data
		}
		opened := &Image{fetch: layout{files}}
		if err := opened.load(context.Background(), Options{}); err != nil {
			t.Fatal(err)
		}
		tree, err := Flatten(context.Background(), []*Image{opened}, FlattenOptions{MaxBytes: 16 << 20, Keep: 1})
		if err != nil {
			return
		}
		checkTree(t, tree)
		if err := tree.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// withChecksums makes the checksums of all headers true, so that changes of them
// get further than that.
func withChecksums(tar []byte) []byte {
	tar = bytes.Clone(tar)
	for at := 0; at+512 <= len(tar); at += 512 {
		if block := tar[at : at+512]; string(block[257:262]) == "ustar" {
			setChecksum(block)
		}
	}
	return tar
}

// checkTree makes sure that a tree is what a file system could be.
func checkTree(t *testing.T, tree *Tree) {
	names := map[uint64]uint32{}
	links := map[uint64]uint32{}
	var walk func(p string)
	walk = func(p string) {
		st, err := tree.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Origin(p); err != nil {
			t.Fatal(err)
		}
		names[st.Ino]++
		links[st.Ino] = st.Links
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			in, err := tree.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, io.NewSectionReader(in, 0, st.Size)); err != nil || n != st.Size {
				t.Fatalf("%q has %d of %d bytes: %v", p, n, st.Size, err)
			}
		case unix.S_IFDIR:
			list, err := tree.Names(p)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSorted(list) {
				t.Fatalf("%q is not sorted: %q", p, list)
			}
			for _, name := range list {
				if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".wh.") || len(name) > format.MaxName {
					t.Fatalf("a name in %q is %q", p, name)
				}
				walk(path.Join(p, name))
			}
		}
	}
	walk("/")
	for ino, n := range names {
		if links[ino] != n {
			t.Fatalf("an inode has %d names and says %d", n, links[ino])
		}
	}
}

// Whatever an index and a manifest say, there is an image or an error.
func FuzzManifests(f *testing.F) {
	blobs := mk.Blobs{}
	img := small(f, "name", "x")
	d := img.Manifest(f, blobs)
	f.Add(mk.Index(d), blobs[d.Digest], img.Config())
	f.Add([]byte(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json"}]}`), []byte(`{"schemaVersion":1}`), []byte("null"))
	f.Fuzz(func(t *testing.T, index, manifest, config []byte) {
		files := memory{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index}
		blobs := mk.Blobs{}
		blobs.Add("", manifest)
		blobs.Add("", config)
		for d, data := range blobs {
			files[blobPath(d)] = data
		}
		opened := &Image{fetch: layout{files}}
		if opened.load(context.Background(), Options{}) == nil {
			checkOpened(t, opened)
		}
	})
}

// Whatever manifest.json says, there is an image or an error.
func FuzzDockerArchive(f *testing.F) {
	img := small(f, "name:1", "x")
	files := mk.DockerFiles(f, img)
	f.Add(files[len(files)-1].Data, img.Config(), "name:1")
	f.Add([]byte(`[{"Config":"config.json","Layers":["layer.tar"]}]`), img.Config(), "")
	f.Fuzz(func(t *testing.T, manifest, config []byte, ref string) {
		a := &dockerArchive{files: memory{"manifest.json": manifest, "config.json": config, "layer.tar": img.Layers[0].Tar}}
		opened := &Image{Source: Source{Kind: KindDockerArchive, Ref: ref}, fetch: a}
		if opened.load(context.Background(), Options{}) == nil {
			checkOpened(t, opened)
		}
	})
}

func checkOpened(t *testing.T, img *Image) {
	for i, l := range img.Layers {
		if l.Descriptor.Digest.Validate() != nil || l.DiffID.Validate() != nil || l.Descriptor.Size < 0 {
			t.Fatalf("layer %d is %+v", i, l)
		}
	}
	if len(img.Manifest.Data) == 0 || len(img.Config.Data) == 0 {
		t.Fatal("an image without a manifest or config")
	}
}

// memory is files that lie nowhere else.
type memory map[string][]byte

func (m memory) Close() error { return nil }

func (m memory) open(name string) (*file, error) {
	data, found := m[name]
	if !found {
		return nil, errNotThere
	}
	return &file{io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), nil}, nil
}
