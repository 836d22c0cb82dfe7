package write

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/lib/cache"
	"chunkah/lib/compress"
	"chunkah/lib/oci"
)

// A cache affects only the speed of a build. The image is the same without a cache and with a cold,
// warm or damaged cache, in an archive and in a directory.
func TestCacheGivesTheSameImage(t *testing.T) {
	root := sample(t)
	dir := filepath.Join(t.TempDir(), "cache")
	opt := Options{Compression: compress.Settings{Algorithm: compress.Gzip}}
	want, _ := cachedBuild(t, opt, root)
	store, err := cache.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	opt.Cache = store
	for _, step := range []struct {
		name   string
		before func()
		reused bool
	}{
		{"cold", func() {}, false},
		{"warm", func() {}, true},
		{"damaged", func() { damage(t, dir) }, false},
		{"warm after it", func() {}, true},
		{"of other layers", func() { swap(t, dir) }, false},
		{"warm again", func() {}, true},
	} {
		step.before()
		got, report := cachedBuild(t, opt, root)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes", step.name)
		}
		if (report.Reused == report.Layers) != step.reused {
			t.Errorf("%s: %d of %d layers came from the cache", step.name, report.Reused, report.Layers)
		}
	}
	archive := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(archive, want, 0o644); err != nil {
		t.Fatal(err)
	}
	opt.Create = func() (oci.Destination, error) {
		return oci.OpenLayout(filepath.Join(t.TempDir(), "layout"), "", oci.Options{})
	}
	if report := run(t, opt, packed(t, root)); report.Reused != report.Layers {
		t.Errorf("layout: %d of %d layers came from the cache", report.Reused, report.Layers)
	}
	sameBlobs(t, opt, packed(t, root), archive)
}

// After a change in one layer, only that layer is compressed again.
func TestCacheKeepsUnchangedLayers(t *testing.T) {
	root := sample(t)
	store, err := cache.Open(filepath.Join(t.TempDir(), "cache"), 0)
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Compression: compress.Settings{Algorithm: compress.Zstd}, Cache: store}
	cachedBuild(t, opt, root)
	if err := os.WriteFile(filepath.Join(root, "etc/name"), []byte("changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, report := cachedBuild(t, opt, root); report.Reused != report.Layers-1 {
		t.Errorf("%d of %d layers came from the cache, want all but one", report.Reused, report.Layers)
	}
}

func cachedBuild(t *testing.T, opt Options, root string) ([]byte, *Report) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "out")
	opt.Create = to(name).Create
	report := run(t, opt, packed(t, root))
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data, report
}

// damage changes one byte of each blob.
func damage(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "*-*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no blobs in %s: %v", dir, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// swap stores each blob under its own digest, but with the diffID of another blob.
func swap(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "*-*"))
	if err != nil || len(names) < 2 {
		t.Fatalf("too few blobs in %s: %v", dir, err)
	}
	blobs := map[string][]byte{}
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		key, other := filepath.Split(names[(i+1)%len(names)])
		diffID, _, _ := strings.Cut(other, "-")
		_, digest, _ := strings.Cut(filepath.Base(name), "-")
		blobs[key+diffID+"-"+digest] = data
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range blobs {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
