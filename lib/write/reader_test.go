package write

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
)

// found is an image, read by code that shares nothing with the writer.
type found struct {
	blobs    map[string][]byte // by path
	whole    bool              // blobs contains only blobs that belong to the image
	manifest v1.Manifest
	config   v1.Image
	layers   [][]*tar.Header
	files    map[string]string // path -> description, with all layers applied
}

func digestOf(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// readImage reads an archive or a layout and checks everything it can.
func readImage(t testing.TB, name string) *found {
	t.Helper()
	img := &found{blobs: map[string][]byte{}, files: map[string]string{}}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		img.readLayout(t, name)
	} else {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		img.readArchive(t, data)
	}
	img.verify(t)
	return img
}

func (img *found) readArchive(t testing.TB, data []byte) {
	t.Helper()
	last := ""
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if last = h.Name; h.Typeflag == tar.TypeDir {
			continue
		}
		if img.blobs[h.Name] != nil {
			t.Errorf("%q occurs twice", h.Name)
		}
		if img.blobs[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
	if last != "index.json" {
		t.Errorf("the last entry is %q", last)
	}
	img.whole = true
}

func (img *found) readLayout(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		img.blobs[strings.TrimPrefix(path[len(strings.TrimSuffix(dir, "/")):], "/")], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// blob returns a descriptor's blob and checks it.
func (img *found) blob(t testing.TB, d v1.Descriptor) []byte {
	t.Helper()
	data, ok := img.blobs["blobs/sha256/"+d.Digest.Encoded()]
	if !ok || int64(len(data)) != d.Size || digestOf(data) != d.Digest.String() {
		t.Fatalf("blob %+v: there: %v, %d bytes, %s", d, ok, len(data), digestOf(data))
	}
	return data
}

func (img *found) verify(t testing.TB) {
	t.Helper()
	var index v1.Index
	decode(t, img.blobs["index.json"], &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("%d manifests", len(index.Manifests))
	}
	decode(t, img.blob(t, index.Manifests[0]), &img.manifest)
	decode(t, img.blob(t, img.manifest.Config), &img.config)
	n := len(img.manifest.Layers)
	if len(img.config.RootFS.DiffIDs) != n || len(img.config.History) != n || n == 0 {
		t.Fatalf("%d layers, %d diffIDs, %d history entries", n, len(img.config.RootFS.DiffIDs), len(img.config.History))
	}
	if files := 4 + n; img.whole && len(img.blobs) != files { // with manifest, config, index.json and oci-layout
		t.Errorf("%d files, want %d", len(img.blobs), files)
	}
	for i, d := range img.manifest.Layers {
		data := uncompress(t, d.MediaType, img.blob(t, d))
		if got := digestOf(data); got != img.config.RootFS.DiffIDs[i].String() {
			t.Errorf("layer %d has diffID %s, and the config says %s", i, got, img.config.RootFS.DiffIDs[i])
		}
		h := img.config.History[i]
		if h.CreatedBy != "chunkah" || h.EmptyLayer || !strings.HasPrefix(h.Comment, `{"layer":{"index":`) {
			t.Errorf("history entry %d is %+v beside %v", i, h, d.Annotations)
		}
		img.apply(t, data)
	}
}

func decode(t testing.TB, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%v in %q", err, data)
	}
}

func uncompress(t testing.TB, mediaType string, data []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(data)
	var err error
	switch mediaType {
	case "application/vnd.oci.image.layer.v1.tar":
	case "application/vnd.oci.image.layer.v1.tar+gzip":
		r, err = gzip.NewReader(r)
	case "application/vnd.oci.image.layer.v1.tar+zstd":
		r, err = zstd.NewReader(r)
	default:
		t.Fatalf("media type %q", mediaType)
	}
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return data
}

// apply applies a layer to the files.
func (img *found) apply(t testing.TB, data []byte) {
	t.Helper()
	var headers []*tar.Header
	dirs := map[string]bool{"": true, ".": true}
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
		img.entry(t, h, content, dirs)
	}
	img.layers = append(img.layers, headers)
}

func (img *found) entry(t testing.TB, h *tar.Header, content []byte, dirs map[string]bool) {
	t.Helper()
	name := strings.TrimPrefix(strings.TrimSuffix(h.Name, "/"), ".")
	if dir := filepath.Dir(name); !dirs[dir] {
		t.Errorf("%q comes before its directory", h.Name)
	}
	kinds := map[byte]string{tar.TypeReg: "file", tar.TypeDir: "dir", tar.TypeSymlink: "symlink"}
	entry := fmt.Sprintf("%s %o %d:%d %q", kinds[h.Typeflag], h.Mode, h.Uid, h.Gid, h.Linkname)
	switch h.Typeflag {
	case tar.TypeLink:
		if !strings.HasPrefix(img.files[h.Linkname], "file ") {
			t.Errorf("%q links to %q, which is not there before it", h.Name, h.Linkname)
		}
		entry = "link " + h.Linkname
	case tar.TypeReg:
		entry += fmt.Sprint(" ", digestOf(content), " ", h.ModTime.Unix())
	case tar.TypeSymlink:
		entry += fmt.Sprint(" ", h.ModTime.Unix())
	case tar.TypeDir:
		dirs[name] = true
	}
	if before := img.files[name]; before != "" && before != entry {
		t.Errorf("%q is %q and %q", name, before, entry)
	}
	img.files[name] = entry
}

// names lists the paths of a layer.
func names(headers []*tar.Header) (list []string) {
	for _, h := range headers {
		list = append(list, h.Name)
	}
	slices.Sort(list)
	return list
}

// listing lists the files of an image with all layers applied.
func (img *found) listing() string {
	var b bytes.Buffer
	var names []string
	for name := range img.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%q %s\n", name, img.files[name])
	}
	return b.String()
}

// wantListing lists the files of a tree in the same form.
func wantListing(t *testing.T, root string) string {
	t.Helper()
	img := &found{files: map[string]string{}}
	first := map[int64]string{}
	for _, rec := range records(t, root)[1:] {
		f := rec.(*format.File)
		name := strings.TrimPrefix(f.Path, "/")
		entry := fmt.Sprintf("%s %o %d:%d %q", f.Type, f.Mode, f.UID, f.GID, f.Target)
		if f.Type == format.TypeFile {
			data, err := os.ReadFile(filepath.Join(root, f.Path))
			if err != nil {
				t.Fatal(err)
			}
			entry += " " + digestOf(data)
		}
		if f.Type != format.TypeDir {
			entry += fmt.Sprint(" ", f.MTime)
		}
		if of := first[f.Hardlink]; of != "" {
			entry = "link " + of
		} else if f.Hardlink != 0 {
			first[f.Hardlink] = name
		}
		img.files[name] = entry
	}
	return img.listing()
}
