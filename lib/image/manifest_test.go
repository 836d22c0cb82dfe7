package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	mk "chunkah/tests/mkimage"
)

func TestPinned(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	src := Location{Transport: &Transport{Prefix: "docker://", Syntax: RefOnly}, Ref: "localhost:5000/a:1"}
	if got := src.Pinned("sha256:" + hex).String(); got != "docker://localhost:5000/a@sha256:"+hex {
		t.Errorf("pinned is %q", got)
	}
}

func TestIsIndex(t *testing.T) {
	for _, test := range []struct{ data, mediaType, want string }{
		{`{"schemaVersion":2,"manifests":[]}`, "", "index"},
		{`{"schemaVersion":2,"layers":[],"config":{}}`, "", "image"},
		{`{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}`, "", "index"},
		{`{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}`, "application/vnd.docker.distribution.manifest.v2+json", "image"},
		{`{"schemaVersion":1,"fsLayers":[]}`, "", "schema 1"},
		{`{}`, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"},
		{`{"manifests":[],"layers":[]}`, v1.MediaTypeImageManifest, "also contains the fields of an index"},
		{`{"mediaType":"` + v1.MediaTypeImageIndex + `"}`, v1.MediaTypeImageManifest, "but its descriptor specifies"},
		{`{"mediaType":"text/plain"}`, "", `media type "text/plain"`},
		{`[]`, "", "reading the manifest"},
		{``, "", "reading the manifest"},
	} {
		index, err := IsIndex([]byte(test.data), test.mediaType)
		got := map[bool]string{true: "index", false: "image"}[index]
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%s, %q: got %s, want %s", test.data, test.mediaType, got, test.want)
		}
	}
}

func TestHostileIndexes(t *testing.T) {
	blobs := mk.Blobs{}
	deep := small(t, "", "x").Manifest(t, blobs)
	for range maxIndexDepth + 1 {
		deep = blobs.Add(v1.MediaTypeImageIndex, mk.Index(deep))
	}
	wide := small(t, "", "x").Manifest(t, blobs)
	var many []v1.Descriptor
	for range maxManifests + 1 {
		many = append(many, wide)
	}
	lying := wide
	lying.Digest = digest.FromString("x")
	blobs[lying.Digest] = blobs[wide.Digest]
	index := blobs.Add(v1.MediaTypeImageManifest, mk.Index(wide))
	for want, manifests := range map[string][]v1.Descriptor{
		"indexes are nested":           {deep},
		"more than 1024 manifests":     many,
		"content has the wrong digest": {lying},
		"but its descriptor specifies": {index},
		"contains no image":            nil,
	} {
		path := mk.LayoutFiles(blobs, manifests...).WriteFolder(t)
		if _, err := textOf(t, "oci:"+path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestHostileArchives(t *testing.T) {
	img := small(t, "", "x")
	docker := mk.DockerFiles(t, img)
	replaced := func(name string, data string) mk.Files {
		files := append(mk.Files(nil), docker...)
		return append(files, mk.NamedFile{Name: name, Data: []byte(data)})
	}
	config := digest.FromBytes(img.Config()).Encoded() + ".json"
	layer := fmt.Sprintf("%064x/layer.tar", 0)
	circle := append(append(mk.Files(nil), docker...), mk.NamedFile{Name: layer, To: "layer.tar"})
	for _, test := range []struct {
		form  string
		files mk.Files
		want  string
	}{
		{"docker-archive:", docker, ""},
		{"docker-archive:", circle, "more than 40 links"},
		{"docker-archive:", append(append(mk.Files(nil), docker...), mk.NamedFile{Name: layer, To: "../../../etc/shadow"}), "is not in the archive"},
		{"docker-archive:", replaced("manifest.json", "[]"), "contains 0 images"},
		{"docker-archive:", replaced("manifest.json", "{"), "reading manifest.json"},
		{"docker-archive:", replaced("manifest.json", `[{"Config":"../x"}]`), `config "../x": leads out of the root with ".."`},
		{"docker-archive:", replaced("manifest.json", `[{"Config":"x"}]`), "is not in the archive"},
		{"docker-archive:", replaced("manifest.json", `[{"Config":"`+config+`","Layers":[]}]`), "0 layers in manifest.json, 1 diff_ids"},
		{"docker-archive:", replaced(config, "{}"), "content has the wrong digest"},
		{"docker-archive:", replaced(layer, "something"), "layer 0 (sha256:"},
		{"docker-archive:", mk.Files{{Name: "repositories"}}, "manifest.json is missing"},
		{"docker-archive:", replaced("../x", ""), `entry "../x": leads out of the root with ".."`},
		{"oci-archive:", docker, "not an OCI layout: no \"oci-layout\"; for a docker save archive, use docker-archive:FILE"},
		{"oci-archive:", mk.Files{{Name: "oci-layout", Data: []byte(`{"imageLayoutVersion":"9"}`)}}, `version is "9"`},
		{"oci-archive:", mk.Files{{Name: "oci-layout", Data: []byte(`{"imageLayoutVersion":"1.0.0"}`)}}, `"index.json" is not in the archive`},
	} {
		_, err := textOf(t, test.form+test.files.WriteArchive(t), Options{})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
	for name, want := range map[string]string{"none": "no such file", ".": "is a directory"} {
		if _, err := textOf(t, "oci-archive:"+t.TempDir()+"/"+name, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	if _, err := textOf(t, "oci:"+t.TempDir()+"/none", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := textOf(t, "oci:"+t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "not an OCI layout") {
		t.Errorf("an empty folder: %v", err)
	}
}

// If a pipe is in place of a blob, opening the image does not block.
func TestLayoutOfOtherThanFiles(t *testing.T) {
	dir := small(t, "", "x").Layout(t)
	if err := os.Remove(dir + "/index.json"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/index.json", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := textOf(t, "oci:"+dir, Options{}); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(context.Background(), Location{Transport: testDirectory, Path: dir}, Options{}); err == nil {
		t.Error("a directory is an image")
	}
}
