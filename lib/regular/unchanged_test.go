package regular

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file with different bytes is noticed although its size and mtime are the same, and so is
// another file with the same bytes, size and mtime.
func TestUnchanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("one"), 0o666); err != nil {
		t.Fatal(err)
	}
	before := stat(t, path)
	if !Unchanged(before, stat(t, path)) {
		t.Error("the same file has changed")
	}
	for name, change := range map[string]func() error{
		"other bytes": func() error { return os.WriteFile(path, []byte("0ne"), 0o666) },
		"another file": func() error {
			return errors.Join(os.WriteFile(path+"2", []byte("one"), 0o666), os.Rename(path+"2", path))
		},
	} {
		before := stat(t, path)
		time.Sleep(20 * time.Millisecond) // old kernels count time in ticks
		if err := errors.Join(change(), os.Chtimes(path, before.ModTime(), before.ModTime())); err != nil {
			t.Fatal(err)
		}
		after := stat(t, path)
		if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
			t.Fatalf("%s: size or mtime differ", name)
		}
		if Unchanged(before, after) {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// The ctime of a new file is too close to the next change.
func TestSettled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if Settled(stat(t, path), time.Now()) || !Settled(stat(t, path), time.Now().Add(3*time.Second)) {
		t.Error("a new file is settled, or an old one is not")
	}
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
