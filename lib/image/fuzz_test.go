package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/tests/bound"
	mk "chunkah/tests/mkimage"
)

// FuzzLayers checks that arbitrary layers are refused, or produce a tree of clean names in which
// all files can be read. A tree with only sums contains the same files.
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
		bound.Input(t, len(below)+len(above))
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
		opt := FlattenOptions{MaxBytes: 16 << 20, Keep: 1}
		tree, err := Flatten(context.Background(), opened, opt)
		opt.Sums = true
		sums, sumsErr := Flatten(context.Background(), opened, opt)
		if (err == nil) != (sumsErr == nil) {
			t.Fatalf("contents: %v, sums: %v", err, sumsErr)
		}
		if err != nil {
			return
		}
		defer mustClose(t, tree)
		defer mustClose(t, sums)
		checkTree(t, tree, sums)
	})
}

// withChecksums corrects the checksums of all headers, so that mutated headers are not all refused
// because of their checksum.
func withChecksums(tar []byte) []byte {
	tar = bytes.Clone(tar)
	for at := 0; at+512 <= len(tar); at += 512 {
		if block := tar[at : at+512]; string(block[257:262]) == "ustar" {
			setChecksum(block)
		}
	}
	return tar
}

// checkTree checks that a tree is a valid file system, and that sums contains the hashes of its
// files.
func checkTree(t *testing.T, tree, sums *Tree) {
	names := map[uint64]uint32{}
	links := map[uint64]uint32{}
	var walk func(p string)
	walk = func(p string) {
		st, err := tree.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Layer(p); err != nil {
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
			hash := sha256.New()
			if n, err := io.Copy(hash, io.NewSectionReader(in, 0, st.Size)); err != nil || n != st.Size {
				t.Fatalf("%q has %d of %d bytes: %v", p, n, st.Size, err)
			}
			if got, err := sums.Sum(p); err != nil || [sha256.Size]byte(hash.Sum(nil)) != got {
				t.Fatalf("%q has the sum %x: %v", p, got, err)
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

// FuzzManifests checks that an arbitrary index, manifest and config produce an image or an error.
// An image that can be opened is also listed. Marks such as "@manifest" are replaced with digests
// and sizes, which a fuzzer cannot guess.
func FuzzManifests(f *testing.F) {
	f.Add(
		[]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",@manifest,"platform":{"os":"linux","architecture":"amd64"}}]}`),
		[]byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",@config},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",@layer}]}`),
		[]byte(`{"architecture":"amd64","os":"linux","created":"2024-01-02T03:04:05Z","rootfs":{"type":"layers","diff_ids":["sha256:`+strings.Repeat("0", 64)+`"]},"history":[{},{"empty_layer":true}]}`))
	f.Add(
		[]byte(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json",@manifest},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json",@config,"annotations":{"vnd.docker.reference.type":"x"}}]}`),
		[]byte(`{"manifests":[{@config},{"platform":{"os":"linux","architecture":"arm64","variant":"v8"},@config}]}`),
		[]byte(`{"mediaType":"","layers":[],"config":{"mediaType":"application/vnd.docker.container.image.v1+json",@layer}}`))
	f.Add([]byte(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json"}]}`), []byte(`{"schemaVersion":1}`), []byte("null"))
	f.Fuzz(func(t *testing.T, index, manifest, config []byte) {
		bound.Input(t, len(index)+len(manifest)+len(config))
		blobs := mk.Blobs{}
		layer := blobs.Add("", []byte(`{}`))
		config = described(config, "@layer", layer)
		manifest = described(manifest, "@layer", layer)
		manifest = described(manifest, "@config", blobs.Add("", config))
		index = described(index, "@config", blobs.Add("", config))
		index = described(index, "@manifest", blobs.Add("", manifest))
		files := memory{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index}
		for d, data := range blobs {
			files[blobPath(d)] = data
		}
		opened := &Image{fetch: layout{files}}
		if opened.load(context.Background(), Options{}) != nil {
			return
		}
		checkOpened(t, opened)
		l := &Listing{fetch: opened.fetch}
		if err := l.list(context.Background()); err != nil {
			return // this is another image in the index
		}
		if !slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Manifest.Descriptor.Digest == opened.Manifest.Descriptor.Digest }) {
			t.Fatalf("%s is opened, and not listed", opened.Manifest.Descriptor.Digest)
		}
	})
}

// described replaces a mark in a document with the digest and size of a blob.
func described(document []byte, mark string, d v1.Descriptor) []byte {
	return bytes.ReplaceAll(document, []byte(mark), fmt.Appendf(nil, `"digest":%q,"size":%d`, d.Digest, d.Size))
}

// FuzzDockerArchive checks that an arbitrary manifest.json produces an image or an error.
func FuzzDockerArchive(f *testing.F) {
	img := small(f, "name:1", "x")
	files := mk.DockerFiles(f, img)
	f.Add(files[len(files)-1].Data, img.Config(), "name:1")
	f.Add([]byte(`[{"Config":"config.json","Layers":["layer.tar"]}]`), img.Config(), "")
	f.Fuzz(func(t *testing.T, manifest, config []byte, ref string) {
		bound.Input(t, len(manifest)+len(config)+len(ref))
		a := &dockerArchive{files: memory{"manifest.json": manifest, "config.json": config, "layer.tar": img.Layers[0].Tar}}
		opened := &Image{Source: Location{Transport: testDockerArchive, Ref: ref}, fetch: a}
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

// memory contains files in memory.
type memory map[string][]byte

func (m memory) Close() error { return nil }

func (m memory) open(name string) (*file, error) {
	data, found := m[name]
	if !found {
		return nil, errNotThere
	}
	return &file{io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), nil}, nil
}
