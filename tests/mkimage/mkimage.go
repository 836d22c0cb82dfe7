// Package mkimage makes container images from tar entries, in the usual image formats. It follows
// the image specification, and shares no code with the code under test.
package mkimage

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Entry is one entry of a layer.
type Entry struct {
	tar.Header
	Body string
}

// Time is the default mtime of entries.
var Time = time.Unix(1_600_000_000, 0)

func entry(kind byte, name string, mode int64) Entry {
	return Entry{Header: tar.Header{Typeflag: kind, Name: name, Mode: mode, ModTime: Time}}
}

// Dir is a directory.
func Dir(name string) Entry { return entry(tar.TypeDir, name, 0o755) }

// File is a regular file.
func File(name, body string) Entry {
	e := entry(tar.TypeReg, name, 0o644)
	e.Body, e.Size = body, int64(len(body))
	return e
}

// Link is a hard link.
func Link(name, to string) Entry {
	e := entry(tar.TypeLink, name, 0o644)
	e.Linkname = to
	return e
}

// Symlink is a symlink.
func Symlink(name, to string) Entry {
	e := entry(tar.TypeSymlink, name, 0o777)
	e.Linkname = to
	return e
}

// Device is a device, or a FIFO.
func Device(kind byte, name string, major, minor int64) Entry {
	e := entry(kind, name, 0o600)
	e.Devmajor, e.Devminor = major, minor
	return e
}

// But returns a changed copy of the entry.
func (e Entry) But(change func(*tar.Header)) Entry {
	change(&e.Header)
	return e
}

// Xattr returns the entry with an additional extended attribute.
func (e Entry) Xattr(name, value string) Entry {
	records := map[string]string{"SCHILY.xattr." + name: value}
	maps.Copy(records, e.PAXRecords)
	e.PAXRecords = records
	return e
}

// Tar makes the tar of a layer.
func Tar(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := e.Header
		if h.ModTime.Nanosecond() != 0 || h.PAXRecords != nil {
			h.Format = tar.FormatPAX
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("entry %q: %v", e.Name, err)
		}
		if _, err := w.Write([]byte(e.Body)); err != nil {
			t.Fatalf("entry %q: %v", e.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Layer compressions, as suffixes of the media type.
const (
	Plain = ""
	Gzip  = "+gzip"
	Zstd  = "+zstd"
)

// Layer is one layer of an image.
type Layer struct {
	Tar     []byte
	Packing string
	Level   int // compression level of gzip; 0 is the default
	// History is the layer's history entry in the config, and Annotations are the layer's
	// annotations in the manifest. If History is empty, the layer gets a default history entry.
	History     v1.History
	Annotations map[string]string
}

// Blob returns the layer as it is stored.
func (l Layer) Blob(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	switch l.Packing {
	case Plain:
		return l.Tar
	case Gzip:
		// The blob consists of two members, as written by parallel compressors.
		half := len(l.Tar) / 2
		for _, part := range [][]byte{l.Tar[:half], l.Tar[half:]} {
			w, err := gzip.NewWriterLevel(&out, cmp.Or(l.Level, gzip.DefaultCompression))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
	case Zstd:
		w, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(l.Tar); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("no packing is called %q", l.Packing)
	}
	return out.Bytes()
}

// Image is an image for one platform.
type Image struct {
	Layers []Layer
	Arch   string // amd64 if empty
	Docker bool   // Docker's media types
	// Name is the image's name in an index, or a tag.
	Name string
}

// Config is the image's config.
func (img *Image) Config() []byte {
	c := v1.Image{Platform: v1.Platform{Architecture: "amd64", OS: "linux"}, RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}
	if img.Arch != "" {
		c.Architecture = img.Arch
	}
	c.Created = &Time
	for _, l := range img.Layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.FromBytes(l.Tar))
		if l.History == (v1.History{}) {
			l.History.CreatedBy = fmt.Sprintf("layer %x", sha256.Sum256(l.Tar))
		}
		c.History = append(c.History, l.History)
	}
	return encode(c)
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // values of these types can always be encoded
	}
	return data
}

// Blobs maps digests to blobs.
type Blobs map[digest.Digest][]byte

// Add adds a blob and returns its descriptor.
func (b Blobs) Add(mediaType string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	b[d.Digest] = data
	return d
}

// dockerTypes are Docker's media types.
var dockerTypes = map[string]string{
	v1.MediaTypeImageManifest: "application/vnd.docker.distribution.manifest.v2+json",
	v1.MediaTypeImageConfig:   "application/vnd.docker.container.image.v1+json",
	v1.MediaTypeImageLayer:    "application/vnd.docker.image.rootfs.diff.tar",
}

// Manifest adds the image to the blobs and returns its manifest's descriptor.
func (img *Image) Manifest(t testing.TB, blobs Blobs) v1.Descriptor {
	t.Helper()
	media := func(oci, packing string) string {
		if !img.Docker {
			return oci + packing
		}
		return dockerTypes[oci] + map[string]string{Gzip: ".gzip", Zstd: ".zstd"}[packing]
	}
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: media(v1.MediaTypeImageManifest, ""),
		Config: blobs.Add(media(v1.MediaTypeImageConfig, ""), img.Config()),
		Layers: []v1.Descriptor{},
	}
	for _, l := range img.Layers {
		d := blobs.Add(media(v1.MediaTypeImageLayer, l.Packing), l.Blob(t))
		d.Annotations = l.Annotations
		m.Layers = append(m.Layers, d)
	}
	d := blobs.Add(m.MediaType, encode(m))
	d.Platform = &v1.Platform{Architecture: "amd64", OS: "linux"}
	if img.Arch != "" {
		d.Platform.Architecture = img.Arch
	}
	if img.Name != "" {
		d.Annotations = map[string]string{v1.AnnotationRefName: img.Name}
	}
	return d
}

// Files are the files of a layout in order.
type Files []NamedFile

// NamedFile is a file of a layout or archive, or a symlink if To is not empty.
type NamedFile struct {
	Name string
	Data []byte
	To   string
}

// LayoutFiles returns the files of a layout with these blobs, and with an index that lists the
// manifests.
func LayoutFiles(blobs Blobs, manifests ...v1.Descriptor) Files {
	files := Files{
		{Name: "oci-layout", Data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{Name: "index.json", Data: Index(manifests...)},
	}
	for d, data := range blobs {
		files = append(files, NamedFile{Name: "blobs/" + d.Algorithm().String() + "/" + d.Encoded(), Data: data})
	}
	return files
}

// Index returns an index that lists the manifests.
func Index(manifests ...v1.Descriptor) []byte {
	return encode(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: manifests})
}

// WriteFolder writes the files into a new directory and returns its path.
func (f Files) WriteFolder(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	for _, file := range f {
		path := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// WriteArchive writes the files into a new tar and returns its path.
func (f Files) WriteArchive(t testing.TB) string {
	t.Helper()
	var entries []Entry
	for _, file := range f {
		if file.To != "" {
			entries = append(entries, Symlink(file.Name, file.To))
		} else {
			entries = append(entries, File(file.Name, string(file.Data)))
		}
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, Tar(t, entries...), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Layout writes the image as a layout directory.
func (img *Image) Layout(t testing.TB) string {
	t.Helper()
	blobs := Blobs{}
	return LayoutFiles(blobs, img.Manifest(t, blobs)).WriteFolder(t)
}

// Archive writes the image as an OCI archive.
func (img *Image) Archive(t testing.TB) string {
	t.Helper()
	blobs := Blobs{}
	return LayoutFiles(blobs, img.Manifest(t, blobs)).WriteArchive(t)
}

// DockerFiles returns the files of an archive like those that docker save writes up to version 24,
// with a directory per layer. A layer that an earlier image also contains is a symlink.
func DockerFiles(t testing.TB, images ...*Image) Files {
	t.Helper()
	type item struct {
		Config           string
		RepoTags, Layers []string
	}
	var files Files
	var items []item
	have := map[digest.Digest]string{}
	for i, img := range images {
		config := img.Config()
		it := item{Config: digest.FromBytes(config).Encoded() + ".json"}
		if img.Name != "" {
			it.RepoTags = []string{img.Name}
		}
		files = append(files, NamedFile{Name: it.Config, Data: config})
		for j, l := range img.Layers {
			folder := fmt.Sprintf("%064x", i*1000+j)
			name := folder + "/layer.tar"
			it.Layers = append(it.Layers, name)
			blob := l.Blob(t)
			d := digest.FromBytes(blob)
			if first := have[d]; first != "" {
				files = append(files, NamedFile{Name: name, To: "../" + first})
				continue
			}
			have[d] = name
			files = append(files, NamedFile{Name: folder + "/VERSION", Data: []byte("1.0")}, NamedFile{Name: name, Data: blob})
		}
		items = append(items, it)
	}
	return append(files, NamedFile{Name: "manifest.json", Data: encode(items)})
}

// DockerArchive writes the image as docker save does.
func (img *Image) DockerArchive(t testing.TB) string {
	t.Helper()
	return DockerFiles(t, img).WriteArchive(t)
}
