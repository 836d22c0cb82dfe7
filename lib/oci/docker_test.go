package oci

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestDockerArchiveGolden(t *testing.T) {
	var one, two bytes.Buffer
	for _, w := range []*bytes.Buffer{&one, &two} {
		if err := writeImage(t, NewDockerArchive(NewArchive(w)), testImage(t)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the same image gives other bytes")
	}
	list, files := readTar(t, one.Bytes())
	golden(t, "docker-archive.txt", []byte(strings.TrimSuffix(list, "\n")))
	golden(t, "docker-manifest.json", []byte(files[dockerManifestFile]))
	if files["index.json"] != string(build(t, testImage(t)).Index) {
		t.Errorf("index.json is %s", files["index.json"])
	}
}

// TestDockerArchiveNames checks the image's names for daemons that read manifest.json and for those
// that read index.json.
func TestDockerArchiveNames(t *testing.T) {
	for ref, want := range map[string]struct{ tags, containerd string }{
		"":                      {`[]`, ""},
		"app":                   {`["app:latest"]`, "docker.io/library/app:latest"},
		"app:1":                 {`["app:1"]`, "docker.io/library/app:1"},
		"me/app:1":              {`["me/app:1"]`, "docker.io/me/app:1"},
		"localhost/app":         {`["localhost/app:latest"]`, "localhost/app:latest"},
		"registry.example:80/x": {`["registry.example:80/x:latest"]`, "registry.example:80/x:latest"},
	} {
		img := testImage(t)
		img.Ref = ref
		var out bytes.Buffer
		if err := writeImage(t, NewDockerArchive(NewArchive(&out)), img); err != nil {
			t.Fatal(err)
		}
		_, files := readTar(t, out.Bytes())
		var images []struct{ RepoTags json.RawMessage }
		var index v1.Index
		if err := json.Unmarshal([]byte(files[dockerManifestFile]), &images); err != nil || len(images) != 1 {
			t.Fatalf("%q: got %s, %v", ref, files[dockerManifestFile], err)
		}
		if err := json.Unmarshal([]byte(files["index.json"]), &index); err != nil {
			t.Fatal(err)
		}
		if got := string(images[0].RepoTags); got != want.tags {
			t.Errorf("%q: tags %s, want %s", ref, got, want.tags)
		}
		if got := index.Manifests[0].Annotations[AnnotationContainerdName]; got != want.containerd {
			t.Errorf("%q: name %q, want %q", ref, got, want.containerd)
		}
	}
}

func TestDockerArchiveRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(img *Image)
		index  func(v1.Index) v1.Index
		want   string
	}{
		"zstd":        {func(img *Image) { img.Layers[0].Descriptor.MediaType += "+zstd" }, nil, "since Docker 23: use gzip"},
		"name":        {func(img *Image) { img.Ref = "V1+2" }, nil, `"V1+2"`},
		"two images":  {nil, func(i v1.Index) v1.Index { i.Manifests = append(i.Manifests, i.Manifests[0]); return i }, "2 were given: use oci-archive:"},
		"no manifest": {nil, func(i v1.Index) v1.Index { i.Manifests[0].Digest = descriptor("one").Digest; return i }, "for one platform"},
	} {
		dir := t.TempDir()
		a, err := createDockerArchive(dir+"/out", Options{})
		if err != nil {
			t.Fatal(err)
		}
		img := testImage(t)
		if test.change != nil {
			test.change(img)
		}
		built := build(t, img)
		for _, l := range img.Layers {
			put(t, a, []byte(l.History.Comment))
		}
		put(t, a, built.Config.Data)
		if err := a.Blob(built.Manifest.Descriptor, Hint{}, Data(built.Manifest.Data)); err != nil {
			t.Fatal(err)
		}
		index := built.Index
		if test.index != nil {
			var parsed v1.Index
			if err := json.Unmarshal(index, &parsed); err != nil {
				t.Fatal(err)
			}
			if index, err = json.Marshal(test.index(parsed)); err != nil {
				t.Fatal(err)
			}
		}
		if err := appear(a, index); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, test.want)
		}
		wantListing(t, dir)
	}
}

// TestDockerArchiveBlobMissing checks that manifest.json lists only files that the archive
// contains.
func TestDockerArchiveBlobMissing(t *testing.T) {
	a := NewDockerArchive(NewArchive(io.Discard))
	built := build(t, testImage(t))
	if err := a.Blob(built.Manifest.Descriptor, Hint{}, Data(built.Manifest.Data)); err != nil {
		t.Fatal(err)
	}
	if err := appear(a, built.Index); err == nil || !strings.Contains(err.Error(), "has not been written") {
		t.Errorf("got error %v", err)
	}
}

// TestDockerArchiveReserved checks that layers in reserved entries result in the same bytes as
// layers written in order.
func TestDockerArchiveReserved(t *testing.T) {
	img := testImage(t)
	var inOrder bytes.Buffer
	if err := writeImage(t, NewDockerArchive(NewArchive(&inOrder)), img); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out")
	a, err := createDockerArchive(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	entries := reserve(t, a, 3, 3)
	for i, text := range []string{"one", "two"} {
		if _, err := io.WriteString(entries[i], text); err != nil {
			t.Fatal(err)
		}
		if err := entries[i].Commit(digest.FromString(text), 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeImage(t, a, img); err != nil {
		t.Fatal(err)
	}
	want, _ := readTar(t, inOrder.Bytes())
	if got, _ := readArchive(t, path); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// skopeo, as an independent reader, finds the config through manifest.json, and the unchanged
// manifest through index.json.
func TestDockerArchiveSkopeo(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip(err)
	}
	img := testImage(t)
	built := build(t, img)
	out := filepath.Join(t.TempDir(), "out")
	a, err := createDockerArchive(out, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeImage(t, a, img); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string][]byte{
		"--config docker-archive:" + out:                 built.Config.Data,
		"--config docker-archive:" + out + ":" + img.Ref: built.Config.Data,
		"oci-archive:" + out + ":" + img.Ref:             built.Manifest.Data,
	} {
		cmd := exec.Command("skopeo", append([]string{"inspect", "--raw"}, strings.Fields(args)...)...)
		if got, err := cmd.CombinedOutput(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %s, %v", args, got, err)
		}
	}
}

func createDockerArchive(path string, opt Options) (*DockerArchive, error) {
	a, err := CreateArchive(path, opt)
	if err != nil {
		return nil, err
	}
	return NewDockerArchive(a), nil
}
