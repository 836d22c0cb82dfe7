package oci

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/temp"
)

// layoutTo writes the image with these layers, named ref, to a layout.
func layoutTo(t *testing.T, path, ref string, texts ...string) error {
	t.Helper()
	l, err := OpenLayout(path, ref, Options{})
	if err != nil {
		return err
	}
	img := testImage(t)
	img.Ref, img.Layers = ref, testLayers(texts...)
	return writeImage(t, l, img)
}

// images lists the names in a layout's index, and checks that all blobs exist.
func images(t *testing.T, path string) string {
	t.Helper()
	var index v1.Index
	readJSON(t, filepath.Join(path, "index.json"), &index)
	var names []string
	for _, m := range index.Manifests {
		names = append(names, m.Annotations[annotationRefName])
		var manifest v1.Manifest
		readJSON(t, filepath.Join(path, blobName(m.Digest)), &manifest)
		for _, d := range append(manifest.Layers, manifest.Config, m) {
			data, err := os.ReadFile(filepath.Join(path, "blobs/sha256", d.Digest.Encoded()))
			if sum := fmt.Sprintf("%x", sha256.Sum256(data)); err != nil || sum != d.Digest.Encoded() || int64(len(data)) != d.Size {
				t.Errorf("blob %q: %d bytes, %s, %v", d.Digest, len(data), sum, err)
			}
		}
	}
	return strings.Join(names, " ")
}

func TestLayoutNew(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLayout(dir+"/out/", "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := listing(t, dir); len(got) != 3 || !temp.Is(got[0]) {
		t.Errorf("unfinished: %q", got)
	}
	if o := l.Traits().Files; len(o) != 1 || !temp.Is(o[0].Name()) {
		t.Errorf("occupies %v", o)
	}
	if err := writeImage(t, l, testImage(t)); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, dir); len(got) != 9 || got[0] != "out" {
		t.Errorf("finished: %q", got)
	}
	if got := images(t, dir+"/out"); got != "localhost/app:1" {
		t.Errorf("got %q", got)
	}
	if data, err := os.ReadFile(dir + "/out/oci-layout"); err != nil || string(data) != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("got %q, %v", data, err)
	}
}

// If another process creates the path while a new layout is written, that path is not overwritten.
func TestLayoutTaken(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLayout(dir+"/out", "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/out/mine", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := writeImage(t, l, testImage(t)); err == nil {
		t.Error("no error")
	}
	wantListing(t, dir, "out", "out/mine")
}

func TestLayoutMerge(t *testing.T) {
	type step struct{ ref, layer, want string }
	for name, steps := range map[string][]step{
		"names":            {{"a:1", "x", "a:1"}, {"a:2", "y", "a:1 a:2"}, {"a:1", "z", "a:2 a:1"}, {"", "u", "error"}},
		"no name":          {{"", "x", ""}, {"", "y", ""}},
		"name, then none":  {{"a:1", "x", "a:1"}, {"", "y", ""}},
		"none, then names": {{"", "x", ""}, {"a:1", "y", " a:1"}, {"a:2", "z", " a:1 a:2"}, {"", "u", "a:1 a:2 "}, {"a:1", "v", "a:2  a:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() // an empty directory
			for _, s := range steps {
				before := listing(t, path)
				err := layoutTo(t, path, s.ref, s.layer, "shared")
				if s.want == "error" {
					if err == nil || !strings.Contains(err.Error(), "contains 2 images: choose one") {
						t.Errorf("got error %v", err)
					}
					wantListing(t, path, before...)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := images(t, path); got != s.want {
					t.Errorf("got %q, want %q", got, s.want)
				}
			}
		})
	}
}

// Fields of an index that this package does not write are kept.
func TestLayoutForeignIndex(t *testing.T) {
	path := t.TempDir()
	if err := layoutTo(t, path, "a:1", "x"); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(path, "index.json")
	data, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(data), `"manifests":[{`, `"annotations":{"k":"v"},"manifests":[{"future":1e400,`, 1)
	if err := os.WriteFile(index, []byte(changed), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := layoutTo(t, path, "a:2", "y"); err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(index)
	if err != nil || !strings.Contains(string(data), `"annotations":{"k":"v"}`) || !strings.Contains(string(data), `"future":1e400`) {
		t.Errorf("got %s, %v", data, err)
	}
	// These fields are kept even if none of the images in the index is kept.
	if err := os.WriteFile(index, []byte(`{"schemaVersion":2,"manifests":null,"annotations":{"k":"v"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := layoutTo(t, path, "a:1", "x"); err != nil {
			t.Fatal(err)
		}
		if data, err = os.ReadFile(index); err != nil || !strings.HasPrefix(string(data), `{"annotations":{"k":"v"},"manifests":[{`) || images(t, path) != "a:1" {
			t.Errorf("got %s, %v", data, err)
		}
	}
	if err := os.WriteFile(index, []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := layoutTo(t, path, "a:3", "y"); err == nil || !strings.Contains(err.Error(), `reading "index.json"`) {
		t.Errorf("got error %v", err)
	}
}

func TestLayoutRefused(t *testing.T) {
	for name, test := range map[string]struct{ file, content, want string }{
		"other folder":  {"mine.txt", "", `contains "mine.txt", but is not an OCI layout`},
		"other version": {"oci-layout", `{"imageLayoutVersion":"2.0.0"}`, `version is "2.0.0"`},
		"bad layout":    {"oci-layout", `x`, `reading "oci-layout"`},
		"bad index":     {"index.json", `[]`, `reading "index.json"`},
	} {
		path := t.TempDir()
		if err := os.WriteFile(filepath.Join(path, test.file), []byte(test.content), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := layoutTo(t, path, "a:1", "x"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, test.want)
		}
		wantListing(t, path, test.file)
		if _, err := OpenLayout(filepath.Join(path, test.file), "", Options{}); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	for name, damage := range map[string]func(index string) error{
		"not a regular file": func(index string) error { return syscall.Mkfifo(index, 0o600) },
		"bytes, above the limit of": func(index string) error {
			return errors.Join(os.WriteFile(index, nil, 0o600), os.Truncate(index, 1<<40))
		},
	} {
		path := t.TempDir()
		if err := damage(filepath.Join(path, "index.json")); err != nil {
			t.Fatal(err)
		}
		if err := layoutTo(t, path, "a:1", "x"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if _, err := OpenLayout("", "", Options{}); err == nil {
		t.Error("no path: no error")
	}
}

// A build continues an unfinished layout that a killed run left behind.
func TestLayoutUnfinished(t *testing.T) {
	path := t.TempDir()
	if err := os.MkdirAll(filepath.Join(path, blobsDir), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := createTemp(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := layoutTo(t, path, "", "x"); err != nil {
		t.Fatal(err)
	}
	images(t, path)
}

func TestLayoutAbort(t *testing.T) {
	path := t.TempDir()
	if err := layoutTo(t, path, "", "x"); err != nil {
		t.Fatal(err)
	}
	before := listing(t, path)
	l, err := OpenLayout(path, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLayout(path, "", Options{}); err == nil || !strings.Contains(err.Error(), "another process is writing to the layout") {
		t.Errorf("second writer: got error %v", err)
	}
	for _, text := range []string{"x", "new"} {
		if err := l.Blob(descriptor(text), Hint{}, Data([]byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.NewBlob(0, true); err != nil { // never finished
		t.Fatal(err)
	}
	if err := l.Discard(); err != nil {
		t.Fatal(err)
	}
	wantListing(t, path, before...)
	images(t, path)
	if err := layoutTo(t, path, "", "y"); err != nil {
		t.Errorf("the lock stayed: %v", err)
	}
}

// After an abort, a blob that replaced a damaged blob is kept, because another image uses it.
func TestLayoutAbortKeepsWhatWasThere(t *testing.T) {
	path := t.TempDir()
	if err := layoutTo(t, path, "", "x"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, blobName(descriptor("x").Digest)), []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLayout(path, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	img := testImage(t)
	img.Layers = testLayers("x")
	finishImage(t, l, img)
	if err := l.Discard(); err != nil {
		t.Fatal(err)
	}
	images(t, path)
}

// An index that would be too large to read is not written.
func TestLayoutIndexIsBounded(t *testing.T) {
	path := t.TempDir()
	if err := layoutTo(t, path, "first:1", "one"); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(path, "index.json")
	data, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	fill := func(size int) {
		pad := strings.Repeat("x", size-len(data)-len(`,"annotations":{"x":""}`))
		full := strings.TrimSuffix(string(data), "}") + `,"annotations":{"x":"` + pad + `"}}`
		if err := os.WriteFile(index, []byte(full), 0o666); err != nil || len(full) != size {
			t.Fatalf("%d bytes, %v", len(full), err)
		}
	}
	fill(MaxDocument - 100)
	if err := layoutTo(t, path, "second:1", "two"); err == nil || !strings.Contains(err.Error(), "index.json would have") {
		t.Errorf("got %v", err)
	}
	if info, err := os.Stat(index); err != nil || info.Size() != MaxDocument-100 {
		t.Errorf("it was changed: %v, %v", info, err)
	}
	fill(MaxDocument - 4000)
	if err := layoutTo(t, path, "second:1", "two"); err != nil {
		t.Error(err)
	}
	images(t, path)
}
