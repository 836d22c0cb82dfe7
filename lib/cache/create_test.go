package cache

import (
	"os"
	"path/filepath"
	"testing"
)

// A symlink in place of a cache directory is refused, because it leads out of the cache.
func TestCreateFollowsNoLink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	c, err := Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "gzip-6-test")); err != nil {
		t.Fatal(err)
	}
	if w, err := c.Create("gzip-6-test"); err == nil {
		w.Abort()
		t.Error("a symlink was followed")
	}
}
