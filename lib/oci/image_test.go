package oci

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// testLayers makes a layer from each text. The layers are not tars, but that does not matter here.
func testLayers(texts ...string) []Layer {
	var layers []Layer
	for _, text := range texts {
		d := digest.FromString(text)
		layers = append(layers, Layer{
			Descriptor: v1.Descriptor{
				MediaType: v1.MediaTypeImageLayer, Digest: d, Size: int64(len(text)),
				Annotations: map[string]string{"org.chunkah.component": "x/" + text},
			},
			DiffID:  d,
			History: v1.History{CreatedBy: "chunkah", Comment: text},
		})
	}
	return layers
}

func testImage(t *testing.T) *Image {
	t.Helper()
	c, err := ParseConfig([]byte(`{"Config":{"Cmd":["a","<&>"],"Healthcheck":{"Test":["NONE"]}},"Author":"me","Annotations":{"k":"v"},
		"Architecture":"arm64","Variant":"v8","Created":"2020-01-02T03:04:05.25Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	return &Image{Config: c, Layers: testLayers("one", "two"), Ref: "localhost/app:1"}
}

func build(t *testing.T, img *Image) *Built {
	t.Helper()
	b, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBuildGolden(t *testing.T) {
	img := testImage(t)
	b := build(t, img)
	golden(t, "config.json", b.Config.Data)
	golden(t, "manifest.json", b.Manifest.Data)
	golden(t, "index.json", b.Index)
	for _, d := range []Document{b.Config, b.Manifest} {
		if digest.FromBytes(d.Data) != d.Descriptor.Digest || int64(len(d.Data)) != d.Descriptor.Size {
			t.Errorf("descriptor %+v does not fit", d.Descriptor)
		}
	}
	if again := build(t, testImage(t)); string(again.Index) != string(b.Index) {
		t.Error("the same image gives other bytes")
	}
}

func TestBuildCreated(t *testing.T) {
	img := testImage(t)
	at := time.Unix(1e9, 0).In(time.FixedZone("", 3600))
	img.Created = &at
	img.Layers[0].History.Created = &at
	if got := string(build(t, img).Config.Data); strings.Count(got, `"created":"2001-09-09T01:46:40Z"`) != 2 {
		t.Errorf("got %s", got)
	}
	img = &Image{Config: &Config{}, Layers: testLayers("x")}
	img.Config.Platform.Architecture = "amd64"
	if got := string(build(t, img).Config.Data); strings.Contains(got, `"created":`) {
		t.Errorf("got %s", got)
	}
	b := build(t, img)
	if strings.Contains(string(b.Index)+string(b.Manifest.Data)+string(b.Config.Data), "null") {
		t.Error("null in an image")
	}
}

func TestBuildErrors(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Image)
		want   string
	}{
		"no config":        {func(i *Image) { i.Config = nil }, "no architecture"},
		"no layers":        {func(i *Image) { i.Layers = nil }, "no layers"},
		"bad name":         {func(i *Image) { i.Ref = "a b" }, `invalid reference "a b"`},
		"bad digest":       {func(i *Image) { i.Layers[1].Descriptor.Digest = "sha256:x" }, `layer 1: digest "sha256:x"`},
		"other digest":     {func(i *Image) { i.Layers[1].Descriptor.Digest = digest.Digest("sha512:" + strings.Repeat("0", 128)) }, `digest "sha512:`},
		"no diffID":        {func(i *Image) { i.Layers[0].DiffID = "" }, "layer 0: diffID"},
		"size":             {func(i *Image) { i.Layers[0].Descriptor.Size = -1 }, "is negative"},
		"no media type":    {func(i *Image) { i.Layers[0].Descriptor.MediaType = "" }, "no media type"},
		"empty layer":      {func(i *Image) { i.Layers[0].History.EmptyLayer = true }, "an empty layer"},
		"comment":          {func(i *Image) { i.Layers[0].History.Comment = "\xff" }, "not UTF-8"},
		"annotation":       {func(i *Image) { i.Layers[0].Descriptor.Annotations["a"] = "\xff" }, "not UTF-8"},
		"annotation key":   {func(i *Image) { i.Config.Annotations[""] = "x" }, "has no key"},
		"label":            {func(i *Image) { i.Config.Labels = map[string]string{"\xff": ""} }, "not UTF-8"},
		"config too big":   {func(i *Image) { i.Config.Author = strings.Repeat("x", MaxDocument) }, "building image config: "},
		"manifest too big": {func(i *Image) { i.Config.Annotations["x"] = strings.Repeat("x", MaxDocument) }, "building image manifest: "},
	} {
		img := testImage(t)
		test.change(img)
		if _, err := img.Build(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, test.want)
		}
	}
}

func TestCheckTag(t *testing.T) {
	for _, s := range []string{
		"app", "app:1", "localhost/app:1", "localhost:5000/app", "registry.example/a/b_c/d--e__f.g:V1_x.y-z", "[::1]:80/a:b", "a:" + strings.Repeat("x", 128),
	} {
		if err := CheckTag(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if err := CheckRefName(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for s, want := range map[string]string{
		"": "empty", "App:1": "upper-case letters", "localhost/Foo": "upper-case", "app:": `tag ""`, "app:a b": "tag",
		"app:.x": "tag", "a:" + strings.Repeat("x", 129): "tag", "a//b": `the part ""`, "/a": "part", "a/": "part", "a b": "part",
		"a@sha256:00": "digest", "-a": "part", "a\n": "part", "a:b\n": "tag", strings.Repeat("a", 256): "longer", "host:x/a": "part", "é": "part",
		"localhost:5000": "",
	} {
		if err := CheckTag(s); want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got error %v, want one with %q", s, err, want)
		}
	}
}

func TestRefAnnotations(t *testing.T) {
	for ref, want := range map[string]string{
		"localhost/app:1": "localhost/app:1", "localhost/app": "localhost/app:latest", "app:1": "", "latest": "", "a.b:80/c": "a.b:80/c:latest", "V1": "",
	} {
		m := refAnnotations(ref)
		if m[annotationRefName] != ref || m[AnnotationContainerdName] != want {
			t.Errorf("%q: got %q", ref, m)
		}
	}
}

// A Docker manifest has Docker's media types, and no annotations; the config is the same.
func TestDockerManifest(t *testing.T) {
	layer := func(mediaType string) Layer {
		d := digest.FromString(mediaType)
		return Layer{DiffID: d, Descriptor: v1.Descriptor{MediaType: mediaType, Digest: d, Size: 1, Annotations: map[string]string{"a": "b"}}}
	}
	img := &Image{
		Config: &Config{Platform: v1.Platform{Architecture: "amd64"}, Annotations: map[string]string{"a": "b"}},
		Layers: []Layer{layer(v1.MediaTypeImageLayer), layer(v1.MediaTypeImageLayerGzip), layer("application/vnd.docker.image.rootfs.diff.tar.gzip")},
	}
	plain, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	img.Docker = true
	docker, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(plain.Config.Data, docker.Config.Data) {
		t.Errorf("the config is %s, not %s", docker.Config.Data, plain.Config.Data)
	}
	var m v1.Manifest
	if err := json.Unmarshal(docker.Manifest.Data, &m); err != nil {
		t.Fatal(err)
	}
	got := []string{docker.Manifest.Descriptor.MediaType, m.MediaType, m.Config.MediaType, m.Layers[0].MediaType, m.Layers[1].MediaType, m.Layers[2].MediaType}
	want := []string{MediaTypeDockerManifest, MediaTypeDockerManifest, MediaTypeDockerConfig, MediaTypeDockerLayer, MediaTypeDockerLayerGzip, MediaTypeDockerLayerGzip}
	if !slices.Equal(got, want) || bytes.Contains(docker.Manifest.Data, []byte("annotations")) {
		t.Errorf("got %q in %s", got, docker.Manifest.Data)
	}
	img.Layers = append(img.Layers, layer(v1.MediaTypeImageLayerZstd))
	if _, err := img.Build(); err == nil || !strings.Contains(err.Error(), "zstd") {
		t.Errorf("a layer of zstd: %v", err)
	}
}
