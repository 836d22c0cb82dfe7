package index

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/transport"
	mk "chunkah/tests/mkimage"
)

// made returns an image for an architecture. One of its layers is the same in all images, and the
// other is different.
func made(t testing.TB, arch string) *mk.Image {
	return &mk.Image{Arch: arch, Name: "old/" + arch, Layers: []mk.Layer{
		{Tar: mk.Tar(t, mk.File("shared", strings.Repeat("x", 5000))), Packing: mk.Plain},
		{Tar: mk.Tar(t, mk.File("own", arch)), Packing: mk.Gzip},
	}}
}

// join joins sources into an archive and returns its path.
func join(t testing.TB, opt Options, sources ...string) (string, *Report, error) {
	t.Helper()
	var lists []*image.Listing
	for _, s := range sources {
		src, err := transport.ParseSource(s)
		if err != nil {
			t.Fatal(err)
		}
		l, err := image.List(context.Background(), src, image.Options{})
		if err != nil {
			return "", nil, err
		}
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		lists = append(lists, l)
	}
	path := filepath.Join(t.TempDir(), "out")
	opt.Create = func() (oci.Destination, error) { return oci.CreateArchive(path, oci.Options{}) }
	report, err := Join(context.Background(), lists, opt)
	return path, report, err
}

// listed reads the index in an archive.
func listed(t testing.TB, archive string) (v1.Index, *image.Listing) {
	t.Helper()
	l, err := image.List(context.Background(), image.Location{Transport: transport.Archive, Path: archive}, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	var index v1.Index
	for _, e := range l.Entries {
		index.Manifests = append(index.Manifests, e.Manifest.Descriptor)
	}
	return index, l
}

func TestJoin(t *testing.T) {
	amd, arm, docker := made(t, "amd64"), made(t, "arm64"), made(t, "s390x")
	docker.Docker = true
	sources := []string{"oci-archive:" + amd.Archive(t), "oci:" + arm.Layout(t), "docker-archive:" + docker.DockerArchive(t)}
	opt := Options{Ref: "localhost/app:1", Annotations: map[string]string{"k": "v"}}
	out, report, err := join(t, opt, sources...)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"linux/amd64", "linux/arm64", "linux/s390x"}; !slices.Equal(report.Platforms, want) {
		t.Errorf("platforms %q, want %q", report.Platforms, want)
	}
	index, l := listed(t, out)
	for i, img := range []*mk.Image{amd, arm} {
		blobs := mk.Blobs{}
		want := img.Manifest(t, blobs)
		if got := index.Manifests[i]; got.Digest != want.Digest || got.MediaType != want.MediaType || got.Platform.Architecture != img.Arch || len(got.Annotations) > 0 {
			t.Errorf("%s: descriptor %+v, want %+v", img.Arch, got, want)
		}
		if got := l.Entries[i].Manifest.Data; !bytes.Equal(got, blobs[want.Digest]) {
			t.Errorf("%s: manifest %s", img.Arch, got)
		}
	}
	shared := int64(len(amd.Layers[0].Tar))
	var own int64
	for _, img := range []*mk.Image{amd, arm, docker} {
		own += int64(len(img.Layers[1].Blob(t)) + len(img.Config()))
	}
	if report.Bytes != shared+own {
		t.Errorf("%d bytes copied, want what is shared once, %d, and %d", report.Bytes, shared, own)
	}
	again, _, err := join(t, opt, sources...)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := read(t, out), read(t, again); !bytes.Equal(a, b) {
		t.Error("the same sources give other bytes")
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestJoinDocuments checks that index.json contains one entry with the name. The entry is the
// index, which contains the annotations.
func TestJoinDocuments(t *testing.T) {
	img := made(t, "amd64")
	src, err := transport.ParseSource("oci:" + img.Layout(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := image.List(context.Background(), src, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	layout := filepath.Join(t.TempDir(), "layout")
	report, err := Join(context.Background(), []*image.Listing{l}, Options{
		Create: func() (oci.Destination, error) { return oci.OpenLayout(layout, "app:1", oci.Options{}) },
		Ref:    "app:1", Annotations: map[string]string{"k": "v"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var root, index v1.Index
	if err := json.Unmarshal(read(t, layout+"/index.json"), &root); err != nil {
		t.Fatal(err)
	}
	if d := root.Manifests[0]; len(root.Manifests) != 1 || d.MediaType != v1.MediaTypeImageIndex || d.Digest.String() != report.Digest || d.Annotations[v1.AnnotationRefName] != "app:1" {
		t.Errorf("index.json has %+v", root.Manifests)
	}
	if err := json.Unmarshal(read(t, layout+"/blobs/sha256/"+root.Manifests[0].Digest.Encoded()), &index); err != nil {
		t.Fatal(err)
	}
	if index.MediaType != v1.MediaTypeImageIndex || index.Annotations["k"] != "v" || len(index.Manifests) != 1 {
		t.Errorf("the index is %+v", index)
	}
}

// TestJoinIndexes checks that everything in a source index is copied, including descriptions and
// artifacts.
func TestJoinIndexes(t *testing.T) {
	blobs := mk.Blobs{}
	arm := made(t, "arm").Manifest(t, blobs)
	arm.Platform.Variant = "v6"
	arm.Annotations["io.containerd.image.name"] = "docker.io/old/arm:1"
	arm.Annotations["kept"] = "yes"
	beside := blobs.Add(v1.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":`+
		encode(t, blobs.Add(v1.MediaTypeImageConfig, []byte("{}")))+`,"layers":[`+
		encode(t, blobs.Add("application/vnd.in-toto+json", []byte(`{"p":1}`)))+`]}`))
	beside.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	beside.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": arm.Digest.String()}
	inner := blobs.Add(v1.MediaTypeImageIndex, mk.Index(arm, beside))
	source := "oci:" + mk.LayoutFiles(blobs, inner).WriteFolder(t)

	out, report, err := join(t, Options{}, "oci:"+made(t, "riscv64").Layout(t), source)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"linux/riscv64", "linux/arm/v6"}; !slices.Equal(report.Platforms, want) || report.Manifests != 3 {
		t.Errorf("got %+v, want the platforms %q", report, want)
	}
	index, _ := listed(t, out)
	if d := index.Manifests[1]; d.Digest != arm.Digest || d.Platform.Variant != "v6" || len(d.Annotations) != 1 || d.Annotations["kept"] != "yes" {
		t.Errorf("arm: got %+v", d)
	}
	if d := index.Manifests[2]; d.Digest != beside.Digest || d.Platform.OS != "unknown" || len(d.Annotations) != 2 {
		t.Errorf("attestation: got %+v", d)
	}
	// A joined index can be joined again.
	if _, again, err := join(t, Options{}, "oci-archive:"+out); err != nil || again.Digest != report.Digest {
		t.Errorf("joined again: %+v, %v; want %q", again, err, report.Digest)
	}
}

func encode(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestJoinRefuses(t *testing.T) {
	amd := "oci:" + made(t, "amd64").Layout(t)
	other := made(t, "amd64")
	other.Layers = other.Layers[1:]
	otherArchive := "oci-archive:" + other.Archive(t)
	blobs := mk.Blobs{}
	damaged := made(t, "arm64").Manifest(t, blobs)
	for d, data := range blobs {
		if bytes.Contains(data, []byte("xxxx")) {
			blobs[d] = append(bytes.Clone(data[:len(data)-1]), 'y')
		}
	}
	damagedLayout := "oci:" + mk.LayoutFiles(blobs, damaged).WriteFolder(t)
	for name, test := range map[string]struct {
		sources []string
		opt     Options
		want    []string
	}{
		"one platform twice": {[]string{amd, otherArchive}, Options{}, []string{amd, otherArchive, "both for linux/amd64"}},
		"one source twice":   {[]string{amd, amd}, Options{}, []string{"both for linux/amd64"}},
		"damaged layer":      {[]string{damagedLayout}, Options{}, []string{"copying", damagedLayout, "content has the wrong digest"}},
		"bad name":           {[]string{amd}, Options{Ref: "a b"}, []string{`invalid reference "a b"`}},
		"bad annotation":     {[]string{amd}, Options{Annotations: map[string]string{"k": "\xff"}}, []string{"is not UTF-8"}},
	} {
		out, _, err := join(t, test.opt, test.sources...)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got error %v, want one with %q", name, err, want)
			}
		}
		if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v left", name, entries, err)
		}
	}
}

func TestJoinCancelled(t *testing.T) {
	src, err := transport.ParseSource("oci:" + made(t, "amd64").Layout(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := image.List(context.Background(), src, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(context.Background())
	_, err = Join(ctx, []*image.Listing{l}, Options{Create: func() (oci.Destination, error) {
		cancel(stop)
		return oci.CreateArchive(dir+"/out", oci.Options{})
	}})
	if !errors.Is(err, stop) {
		t.Errorf("got error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v left", entries, err)
	}
}

func TestPlatform(t *testing.T) {
	for name, test := range map[string]struct {
		config v1.Platform
		listed *v1.Platform
		want   string
		key    string
	}{
		"plain":           {v1.Platform{OS: "linux", Architecture: "amd64"}, nil, "linux/amd64", "linux/amd64"},
		"usual variant":   {v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, nil, "linux/arm64/v8", "linux/arm64"},
		"other variant":   {v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, nil, "linux/arm/v6", "linux/arm/v6"},
		"alias":           {v1.Platform{OS: "linux", Architecture: "aarch64"}, nil, "linux/arm64", "linux/arm64"},
		"listed variant":  {v1.Platform{OS: "linux", Architecture: "arm"}, &v1.Platform{OS: "linux", Architecture: "arm", Variant: "v5"}, "linux/arm/v5", "linux/arm/v5"},
		"listed wrongly":  {v1.Platform{OS: "linux", Architecture: "amd64"}, &v1.Platform{OS: "linux", Architecture: "arm", Variant: "v5"}, "linux/amd64", "linux/amd64"},
		"config goes on":  {v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, &v1.Platform{OS: "linux", Architecture: "arm", Variant: "v5"}, "linux/arm/v6", "linux/arm/v6"},
		"listed version":  {v1.Platform{OS: "windows", Architecture: "amd64"}, &v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0"}, "windows/amd64 10.0", "windows/amd64 10.0"},
		"unknown variant": {v1.Platform{OS: "linux", Architecture: "sparc64", Variant: "x"}, nil, "linux/sparc64/x", "linux/sparc64/x"},
	} {
		p := platform(test.config, test.listed)
		if got := platformName(p); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		if got := platformKey(p); got != test.key {
			t.Errorf("%s: key %q, want %q", name, got, test.key)
		}
	}
}

// Artifacts in an index are copied byte for byte. Missing platforms, and layers that clients fetch
// from another location, are left out.
func TestJoinArtifacts(t *testing.T) {
	blobs := mk.Blobs{}
	amd, arm := made(t, "amd64").Manifest(t, blobs), made(t, "arm64").Manifest(t, blobs)
	add := func(mediaType, text string) v1.Descriptor { return blobs.Add(mediaType, []byte(text)) }
	config := add("application/vnd.cnab.config.v1+json", "{}")
	bundle := add(v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.cnab.config.v1+json","digest":"`+config.Digest.String()+`","size":2},"layers":[]}`)
	bundle.ArtifactType, bundle.Annotations = "application/vnd.example", map[string]string{"k": "v"}
	unknown := add("application/vnd.example", "no JSON")
	system := add(v1.MediaTypeImageConfig, `{"os":"windows","architecture":"amd64","os.version":"10.0","rootfs":{"type":"layers","diff_ids":[]}}`)
	windows := add(v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"mediaType":"`+v1.MediaTypeImageConfig+`","digest":"`+system.Digest.String()+`","size":`+strconv.FormatInt(system.Size, 10)+`},
		"layers":[{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar","digest":"`+arm.Digest.String()+`","size":5,"urls":["https://example.org/x"]}]}`)
	all := []v1.Descriptor{bundle, windows, amd, unknown, arm}
	delete(blobs, arm.Digest)
	source := mk.LayoutFiles(blobs, blobs.Add(v1.MediaTypeImageIndex, mk.Index(all...))).WriteFolder(t)
	archive, report, err := join(t, Options{}, "oci:"+source)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(report.Platforms, ", "); got != "windows/amd64 10.0, linux/amd64" || report.Manifests != 4 {
		t.Errorf("got %s, %d manifests", got, report.Manifests)
	}
	index, l := listed(t, archive)
	for i, want := range all[:4] {
		got := index.Manifests[i]
		if got.Digest != want.Digest || got.ArtifactType != want.ArtifactType || got.MediaType != want.MediaType {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for _, b := range l.Entries[i].Blobs {
			in, err := l.Blob(context.Background(), b)
			if err != nil {
				t.Errorf("blob of %s: %v", want.Digest, err)
				continue
			}
			in.Close()
		}
	}
}
