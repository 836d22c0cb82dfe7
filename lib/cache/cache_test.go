package cache

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

const key = "gzip-6"

func store(t *testing.T, c *Cache, diffID, data string) {
	t.Helper()
	w, err := c.Create(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatal(err)
	}
	b, err := w.Commit(digest.FromString(diffID), digest.FromString(data))
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
}

func load(t *testing.T, c *Cache, diffID string) (string, bool) {
	t.Helper()
	b, err := c.Get(key, digest.FromString(diffID))
	if err != nil {
		t.Fatal(err)
	}
	if b == nil {
		return "", false
	}
	defer b.Close()
	data, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if b.Size != int64(len(data)) || b.Digest != digest.FromBytes(data) {
		t.Errorf("blob says %d bytes and %s, its bytes are %d and %s", b.Size, b.Digest, len(data), digest.FromBytes(data))
	}
	return string(data), true
}

func open1(t *testing.T, size int64) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "cache"), size)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBlobComesBackByDiffIDAndKey(t *testing.T) {
	c := open1(t, 0)
	if c.Has(key) {
		t.Error("a new cache has blobs")
	}
	store(t, c, "layer", "blob")
	if data, ok := load(t, c, "layer"); !ok || data != "blob" {
		t.Errorf("got %q, %v", data, ok)
	}
	if _, ok := load(t, c, "other"); ok {
		t.Error("a layer that was never stored is there")
	}
	if b, err := c.Get("zstd-3", digest.FromString("layer")); b != nil || err != nil {
		t.Errorf("another key gives %v, %v", b, err)
	}
}

func TestDamagedBlobIsNeverHandedOut(t *testing.T) {
	c := open1(t, 0)
	store(t, c, "layer", "blob")
	names, _ := filepath.Glob(filepath.Join(c.dir, key, "*"))
	if len(names) != 1 {
		t.Fatalf("got %q", names)
	}
	if err := os.WriteFile(names[0], []byte("b1ob"), 0o644); err != nil {
		t.Fatal(err)
	}
	if data, ok := load(t, c, "layer"); ok {
		t.Errorf("got %q", data)
	}
	if _, err := os.Stat(names[0]); err == nil {
		t.Error("the damaged blob is still there")
	}
}

func TestTrimRemovesTheLeastUsed(t *testing.T) {
	c := open1(t, 10)
	for i, name := range []string{"a", "b", "c"} {
		store(t, c, name, name+"1234")
		names, _ := filepath.Glob(filepath.Join(c.dir, key, digest.FromString(name).Encoded()+"-*"))
		old := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(names[0], old, old); err != nil {
			t.Fatal(err)
		}
	}
	load(t, c, "a") // now the last one used
	if removed, err := c.Trim(); err != nil || removed != 5 {
		t.Fatalf("removed %d bytes, %v; want 5", removed, err)
	}
	for name, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if _, ok := load(t, c, name); ok != want {
			t.Errorf("%s: there is %v, want %v", name, ok, want)
		}
	}
}

func TestTrimRemovesOldLeftovers(t *testing.T) {
	c := open1(t, 0)
	var names []string
	for range 2 {
		w, err := c.Create(key)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, w.file.Name())
		w.file.Close()
	}
	old := time.Now().Add(-2 * tempAge)
	if err := os.Chtimes(names[0], old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Trim(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(names[0]); err == nil {
		t.Error("the old one is still there")
	}
	if _, err := os.Stat(names[1]); err != nil {
		t.Error("the new one, which may be in use, is gone")
	}
}

func TestManyBuildsAtOnce(t *testing.T) {
	c := open1(t, 50)
	var builds sync.WaitGroup
	for range 8 {
		builds.Go(func() {
			for i := range 50 {
				name := string(rune('a' + i%20))
				if data, ok := load(t, c, name); ok && data != name+"1234" {
					t.Errorf("%s: got %q", name, data)
				}
				store(t, c, name, name+"1234")
				if _, err := c.Trim(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	builds.Wait()
}

func TestAbortLeavesNothing(t *testing.T) {
	c := open1(t, 0)
	w, err := c.Create(key)
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if c.Has(key) {
		t.Error("something is left")
	}
}
