package cache

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
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

// wanted describes a blob that needs no further check.
func wanted(key, diffID string) Wanted {
	return Wanted{Key: key, DiffID: digest.FromString(diffID), Most: 1 << 20, Proves: func(_ digest.Digest, _ int64, blob io.Reader) (bool, error) {
		_, err := io.Copy(io.Discard, blob)
		return err == nil, err
	}}
}

func load(t *testing.T, c *Cache, diffID string) (string, bool) {
	t.Helper()
	b, err := c.Get(wanted(key, diffID))
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
		t.Errorf("blob has Size %d and Digest %s, but its contents %d and %s", b.Size, b.Digest, len(data), digest.FromBytes(data))
	}
	return string(data), true
}

func openCache(t *testing.T, size int64) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "cache"), size)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGetByDiffIDAndKey(t *testing.T) {
	c := openCache(t, 0)
	if c.Has(key) {
		t.Error("a new cache has blobs")
	}
	store(t, c, "layer", "blob")
	if data, ok := load(t, c, "layer"); !ok || data != "blob" {
		t.Errorf("got %q, %v", data, ok)
	}
	if _, ok := load(t, c, "other"); ok {
		t.Error("found a layer that was never stored")
	}
	if b, err := c.Get(wanted("zstd-3", "layer")); b != nil || err != nil {
		t.Errorf("got %v, %v for another key", b, err)
	}
}

func TestDamagedBlobIsNeverReturned(t *testing.T) {
	c := openCache(t, 0)
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
		t.Error("the damaged blob was not removed")
	}
}

// A blob that does not match its diffID is removed and not returned. A blob that could not be
// verified is kept.
func TestUnprovenBlobIsNeverReturned(t *testing.T) {
	c := openCache(t, 0)
	store(t, c, "layer", "blob")
	want := wanted(key, "layer")
	stopped := errors.New("stopped")
	want.Proves = func(digest.Digest, int64, io.Reader) (bool, error) { return false, stopped }
	if b, err := c.Get(want); b != nil || !errors.Is(err, stopped) {
		t.Errorf("got %v, %v", b, err)
	}
	want.Proves = func(_ digest.Digest, _ int64, blob io.Reader) (bool, error) {
		_, err := io.Copy(io.Discard, blob)
		return false, err
	}
	for range 2 {
		if b, err := c.Get(want); b != nil || err != nil {
			t.Errorf("got %v, %v", b, err)
		}
	}
	if c.Has(key) {
		t.Error("the blob is still there")
	}
	store(t, c, "layer", "blob")
	want = wanted(key, "layer")
	want.Most = 3
	if b, err := c.Get(want); b != nil || err != nil || c.Has(key) {
		t.Errorf("too large: %v, %v, still there: %v", b, err, c.Has(key))
	}
}

// Reading never blocks on files that are not blobs, whatever their names. Such files are kept.
func TestOnlyRegularFilesAreOpened(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"FIFO":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"zeros":  func(path string) error { return os.Symlink("/dev/zero", path) },
		"link":   func(path string) error { return os.Symlink("/etc/passwd", path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"socket": func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
	} {
		c := openCache(t, 1)
		path := filepath.Join(c.dir, key, digest.FromString("layer").Encoded()+"-"+digest.FromString("blob").Encoded())
		if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), plant(path)); err != nil {
			t.Fatal(err)
		}
		done := background(func() {
			if b, err := c.Get(wanted(key, "layer")); b != nil || err != nil {
				t.Errorf("%s: got %v, %v", name, b, err)
			}
			if _, err := c.Trim(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%s: it blocks", name)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// background runs a function in the background. The channel is closed when the function returns.
func background(run func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	return done
}

// A directory with other files is refused and left unchanged. Other files in a cache are kept too.
func TestForeignFilesStay(t *testing.T) {
	blob := digest.FromString("a").Encoded() + "-" + digest.FromString("b").Encoded()
	for _, name := range []string{
		"thesis.txt", "Documents/thesis.txt", "CACHEDIR.TAG", "gzip-6/notes", "gzip-6/sub/" + blob, "other/" + blob, blob,
		"gzip-6/x" + blob, "gzip-6/" + blob + "x", "gzip-6/" + strings.ToUpper(blob), ".hidden",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		text := "Signature: 8a477f597d28d172789f06886806bc55\n# of another program\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, 1); !errors.Is(err, errForeign) || !strings.Contains(err.Error(), "--cache") {
			t.Errorf("%q: got %v", name, err)
		}
		if name == "CACHEDIR.TAG" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, tagName), []byte(tag), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Open(dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		if removed, err := c.Trim(); removed != 0 || err != nil {
			t.Errorf("%q: removed %d bytes, %v", name, removed, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q: now %q, %v", name, got, err)
		}
	}
}

// A cache without a tag gets a tag. It is trimmed even if it is reached through a symlink.
func TestUnmarkedCacheGetsTag(t *testing.T) {
	c := openCache(t, 0)
	store(t, c, "layer", "blob")
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Remove(filepath.Join(c.dir, tagName)), os.Symlink(c.dir, link)); err != nil {
		t.Fatal(err)
	}
	again, err := Open(link, 1)
	if err != nil {
		t.Fatal(err)
	}
	if marked, err := isMarked(c.dir); !marked || err != nil {
		t.Errorf("it is marked: %v, %v", marked, err)
	}
	if removed, err := again.Trim(); removed != 4 || err != nil {
		t.Errorf("removed %d bytes, %v", removed, err)
	}
	if again, err = Open(link, 1); err != nil || again.Has(key) {
		t.Errorf("got %v, %v", again, err)
	}
}

func TestTrimRemovesTheLeastUsed(t *testing.T) {
	c := openCache(t, 10)
	for i, name := range []string{"a", "b", "c"} {
		store(t, c, name, name+"1234")
		names, _ := filepath.Glob(filepath.Join(c.dir, key, digest.FromString(name).Encoded()+"-*"))
		old := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(names[0], old, old); err != nil {
			t.Fatal(err)
		}
	}
	load(t, c, "a") // now the most recently used
	if removed, err := c.Trim(); err != nil || removed != 5 {
		t.Fatalf("removed %d bytes, %v; want 5", removed, err)
	}
	for name, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if _, ok := load(t, c, name); ok != want {
			t.Errorf("%s: exists %v, want %v", name, ok, want)
		}
	}
}

func TestTrimRemovesOldLeftovers(t *testing.T) {
	c := openCache(t, 0)
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
		t.Error("the old file was not removed")
	}
	if _, err := os.Stat(names[1]); err != nil {
		t.Error("the new file, which can be in use, was removed")
	}
}

func TestManyBuildsAtOnce(t *testing.T) {
	c := openCache(t, 50)
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
	c := openCache(t, 0)
	w, err := c.Create(key)
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if c.Has(key) {
		t.Error("files are left")
	}
}
