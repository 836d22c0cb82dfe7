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

func TestParseSource(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for in, want := range map[string]Source{
		"root":                          {Kind: KindDir, Path: "root"},
		"/a:b":                          {Kind: KindDir, Path: "/a:b"},
		"./a:b":                         {Kind: KindDir, Path: "./a:b"},
		"dir:a:b":                       {Kind: KindDir, Path: "a:b"},
		"oci:dir":                       {Kind: KindLayout, Path: "dir"},
		"oci:/dir:localhost/a:1":        {Kind: KindLayout, Path: "/dir", Ref: "localhost/a:1"},
		"oci:dir:@sha256:" + hex:        {Kind: KindLayout, Path: "dir", Ref: "@sha256:" + hex},
		"oci-archive:x.tar":             {Kind: KindArchive, Path: "x.tar"},
		"oci-archive:-":                 {Kind: KindArchive, Path: "/dev/stdin"},
		"docker-archive:-:a:1":          {Kind: KindDockerArchive, Path: "/dev/stdin", Ref: "a:1"},
		"oci:-":                         {Kind: KindLayout, Path: "-"},
		"docker-archive:x.tar:a:1":      {Kind: KindDockerArchive, Path: "x.tar", Ref: "a:1"},
		"docker://registry.example/a:1": {Kind: KindRegistry, Ref: "registry.example/a:1"},
		"docker://localhost:5000/a@sha256:" + hex: {Kind: KindRegistry, Ref: "localhost:5000/a@sha256:" + hex},
	} {
		got, err := ParseSource(in)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
		if again, err := ParseSource(got.String()); err != nil || again != got {
			t.Errorf("%q: %q is %+v, %v", in, got, again, err)
		}
	}
	for in, want := range map[string]string{
		"":                         "source is empty",
		"oci:":                     `source "oci:" has no path`,
		"oci::a":                   "has no path",
		"oci:dir:":                 "ends where a name is to come",
		"docker://":                "ends where a name is to come",
		"dir:":                     "has no path",
		"a\x00b":                   "holds a NUL",
		"docker:x":                 "docker://x is an image in a registry",
		"containers-storage:x":     `unknown transport "containers-storage"`,
		"a:b":                      "./a:b is the directory of that name",
		"oci:dir:a@sha256:1":       `has the digest "sha256:1"`,
		"docker://a@md5:" + hex:    `has the digest "md5:`,
		"https://registry.example": `unknown transport "https"`,
	} {
		if got, err := ParseSource(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v, want %q", in, got, err, want)
		}
	}
	src := Source{Kind: KindRegistry, Ref: "localhost:5000/a:1"}
	if got := src.pinned("sha256:" + hex).String(); got != "docker://localhost:5000/a@sha256:"+hex {
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
		{`{"manifests":[],"layers":[]}`, v1.MediaTypeImageManifest, "fields of an index too"},
		{`{"mediaType":"` + v1.MediaTypeImageIndex + `"}`, v1.MediaTypeImageManifest, "calls itself"},
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
		"indexes in indexes":        {deep},
		"more than 1024 manifests":  many,
		"its bytes have the digest": {lying},
		"calls itself":              {index},
		"it holds no image":         nil,
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
		{"docker-archive:", replaced("manifest.json", "[]"), "it holds 0 images"},
		{"docker-archive:", replaced("manifest.json", "{"), "reading manifest.json"},
		{"docker-archive:", replaced("manifest.json", `[{"Config":"../x"}]`), `config "../x": has ".."`},
		{"docker-archive:", replaced("manifest.json", `[{"Config":"x"}]`), "is not in the archive"},
		{"docker-archive:", replaced("manifest.json", `[{"Config":"`+config+`","Layers":[]}]`), "0 layers in manifest.json, 1 diff_ids"},
		{"docker-archive:", replaced(config, "{}"), "its bytes have the digest"},
		{"docker-archive:", replaced(layer, "something"), "layer 0 (sha256:"},
		{"docker-archive:", mk.Files{{Name: "repositories"}}, "it has no manifest.json"},
		{"docker-archive:", replaced("../x", ""), `entry "../x": has ".."`},
		{"oci-archive:", docker, "it is no OCI layout: it has no \"oci-layout\"; what docker save writes is named with docker-archive:"},
		{"oci-archive:", mk.Files{{Name: "oci-layout", Data: []byte(`{"imageLayoutVersion":"9"}`)}}, `version "9"`},
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
	if _, err := textOf(t, "oci:"+t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "it is no OCI layout") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := textOf(t, "docker://registry.example/a", Options{}); err == nil || !strings.Contains(err.Error(), "no registry client") {
		t.Errorf("a registry: %v", err)
	}
}

// A blob of a layout that is a pipe does not have anyone wait.
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
	if _, err := Open(context.Background(), Source{Kind: KindDir, Path: dir}, Options{}); err == nil {
		t.Error("a directory is an image")
	}
}
