package image

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	mk "chunkah/tests/mkimage"
)

// listOf lists the kind, architecture and number of blobs of each manifest in a source.
func listOf(t testing.TB, src string) (string, error) {
	t.Helper()
	parsed, err := parseSource(src)
	if err != nil {
		t.Fatal(err)
	}
	l, err := List(context.Background(), parsed, Options{})
	if err != nil {
		return "", err
	}
	defer mustClose(t, l)
	var got []string
	for _, e := range l.Entries {
		kind := "image"
		if e.Artifact {
			kind = "artifact"
		}
		got = append(got, fmt.Sprintf("%s %s %d", kind, e.Platform.Architecture, len(e.Blobs)))
	}
	return strings.Join(got, ", "), nil
}

func TestList(t *testing.T) {
	one := small(t, "localhost/app:1", "hello")
	blobs := mk.Blobs{}
	var all []v1.Descriptor
	for _, arch := range []string{"amd64", "arm64"} {
		img := small(t, "", arch, mk.Plain)
		img.Arch = arch
		all = append(all, img.Manifest(t, blobs))
	}
	beside := blobs.Add(v1.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":{},"layers":[{"mediaType":"application/vnd.in-toto+json"}]}`))
	beside.Annotations = map[string]string{annotationAttestation: "attestation-manifest"}
	inner := blobs.Add(v1.MediaTypeImageIndex, mk.Index(append(all, beside)...))
	inner.Annotations = map[string]string{v1.AnnotationRefName: "several"}
	layout := "oci:" + mk.LayoutFiles(blobs, inner).WriteFolder(t)
	for src, want := range map[string]string{
		"oci:" + one.Layout(t):                       "image amd64 2",
		"oci-archive:" + one.Archive(t):              "image amd64 2",
		"docker-archive:" + one.DockerArchive(t):     "image amd64 2",
		layout:                                       "image amd64 3, image arm64 3, artifact  2",
		layout + ":several":                          "image amd64 3, image arm64 3, artifact  2",
		layout + ":@" + all[1].Digest.String():       "image arm64 3",
		layout + ":several@" + inner.Digest.String(): "image amd64 3, image arm64 3, artifact  2",
	} {
		if got, err := listOf(t, src); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", src, got, err, want)
		}
	}
}

func TestListRefuses(t *testing.T) {
	blobs := mk.Blobs{}
	img := small(t, "", "hello").Manifest(t, blobs)
	deep := img
	for range maxIndexDepth + 1 {
		deep = blobs.Add(v1.MediaTypeImageIndex, mk.Index(deep))
	}
	many := make([]v1.Descriptor, maxManifests+1)
	for i := range many {
		many[i] = img
	}
	wide := blobs.Add(v1.MediaTypeImageIndex, mk.Index(many...))
	artifact := blobs.Add(v1.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":{"mediaType":"application/x"},"layers":[]}`))
	none := blobs.Add(v1.MediaTypeImageIndex, mk.Index())
	lost := img
	lost.Digest = digest.NewDigestFromEncoded(digest.SHA256, strings.Repeat("0", 64))

	for name, test := range map[string]struct {
		d    v1.Descriptor
		want string
	}{
		"too deep":         {deep, "more than 4 deep"},
		"too many":         {wide, "more than 1024 manifests"},
		"an artifact":      {artifact, "contains no image, only an artifact"},
		"nothing":          {none, "contains no image"},
		"a blob not there": {lost, lost.Digest.String()},
	} {
		src := "oci:" + mk.LayoutFiles(blobs, test.d).WriteFolder(t)
		if got, err := listOf(t, src); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), src) {
			t.Errorf("%s: got %q, error %v; want one with %q", name, got, err, test.want)
		}
	}
}

// The total size of manifests in memory is limited.
func TestListBounded(t *testing.T) {
	img := small(t, "", "hello")
	d := img.Manifest(t, mk.Blobs{})
	for left, want := range map[int]int{int(d.Size): 1, int(d.Size) - 1: 0} {
		l := &Listing{Source: Location{Transport: testLayout, Path: img.Layout(t)}}
		l.fetch = layout{folder(l.Source.Path)}
		w := &lister{listing: l, chooser: chooser{fetch: l.fetch}, left: left}
		top, index, err := w.top(t.Context(), l.Source)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.add(t.Context(), top, index, 0); (err == nil) != (want == 1) || len(l.Entries) != want {
			t.Errorf("%d bytes: got %d entries, %v; want %d", left, len(l.Entries), err, want)
		}
	}
}

// An index can also list artifacts, images for other operating systems, and platforms whose images
// are stored elsewhere (docker save writes the image for only one platform). The image must still
// be found.
func TestIndexOfMoreThanImages(t *testing.T) {
	blobs := mk.Blobs{}
	var images []v1.Descriptor
	for _, arch := range []string{"amd64", "arm64", "s390x"} {
		img := small(t, "", arch)
		img.Arch = arch
		images = append(images, img.Manifest(t, blobs))
	}
	add := func(mediaType, text string) v1.Descriptor { return blobs.Add(mediaType, []byte(text)) }
	soci := add(v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.amazon.soci.index.v1+json"},"layers":[]}`)
	signature := add(v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"mediaType":"`+v1.MediaTypeImageConfig+`"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json"}]}`)
	typed := soci
	typed.ArtifactType = "application/vnd.example"
	old := add("application/vnd.oci.artifact.manifest.v1+json", `{"blobs":[]}`)
	unknown := add("application/vnd.example", "no JSON")
	all := append([]v1.Descriptor{soci, signature, typed, old, unknown}, images...)
	source := func() string {
		return "oci:" + mk.LayoutFiles(blobs, blobs.Add(v1.MediaTypeImageIndex, mk.Index(all...))).WriteFolder(t)
	}
	text := func(platform string) (string, error) { return textOf(t, source(), Options{Platform: platform}) }

	if got, err := text("linux/s390x"); err != nil || got != "s390x" {
		t.Errorf("got %q, %v", got, err)
	}
	for i := range all { // only the configs contain platforms
		all[i].Platform = nil
	}
	if got, err := text("linux/s390x"); err != nil || got != "s390x" {
		t.Errorf("without platforms: got %q, %v", got, err)
	}
	all = append(all[:5:5], images...)
	delete(blobs, images[0].Digest)
	delete(blobs, images[1].Digest)
	if got, err := listOf(t, source()); err != nil || got != "artifact  1, artifact  2, artifact  1, artifact  0, artifact  0, image s390x 2" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := textOf(t, source(), Options{Like: &v1.Platform{Architecture: "amd64", OS: "linux"}}); err != nil || got != "s390x" {
		t.Errorf("the only one that is there: got %q, %v", got, err)
	}
	if got, err := text("linux/amd64"); err == nil || !strings.Contains(err.Error(), "for linux/s390x, not for linux/amd64") {
		t.Errorf("one that is not there: got %q, %v", got, err)
	}
	delete(blobs, images[2].Digest)
	if got, err := listOf(t, source()); err == nil || !strings.Contains(err.Error(), "the 3 manifests that its index lists are missing") {
		t.Errorf("none: got %q, %v", got, err)
	}
}
