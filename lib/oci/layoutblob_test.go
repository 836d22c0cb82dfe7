package oci

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"chunkah/lib/temp"
)

// An existing blob is hashed before it is used, and a special file in its place does not block. A
// damaged blob and a special file are both replaced.
func TestLayoutDamagedBlob(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"other bytes":  func(path string) error { return os.WriteFile(path, []byte("0ne"), 0o666) },
		"other size":   func(path string) error { return os.WriteFile(path, []byte("on"), 0o666) },
		"FIFO":         func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"endless link": func(path string) error { return os.Symlink("/dev/zero", path) },
		"dead link":    func(path string) error { return os.Symlink("none", path) },
	} {
		path := t.TempDir()
		if err := layoutTo(t, path, "", "one"); err != nil {
			t.Fatal(err)
		}
		blob := filepath.Join(path, "blobs/sha256", fmt.Sprintf("%x", sha256.Sum256([]byte("one"))))
		if err := errors.Join(os.Remove(blob), damage(blob)); err != nil {
			t.Fatal(err)
		}
		if err := layoutTo(t, path, "", "one"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		info, err := os.Lstat(blob)
		if err != nil || !info.Mode().IsRegular() {
			t.Fatalf("%s: it is %v, %v", name, info, err)
		}
		if got, err := os.ReadFile(blob); string(got) != "one" || err != nil {
			t.Errorf("%s: it holds %q, %v", name, got, err)
		}
	}
}

// The number of open files of a layout is limited, regardless of the number of blobs.
func TestLayoutOpenFiles(t *testing.T) {
	path := t.TempDir()
	l, err := OpenLayout(path, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := listing(t, "/proc/self/fd")
	var texts []string
	for i := range 2*maxComplete + 1 {
		texts = append(texts, fmt.Sprint(i))
	}
	img := testImage(t)
	img.Layers = testLayers(texts...)
	for _, text := range texts {
		if err := l.Blob(descriptor(text), Hint{}, Data([]byte(text))); err != nil {
			t.Fatal(err)
		}
		if n := len(listing(t, "/proc/self/fd")) - len(before); n > maxComplete {
			t.Fatalf("%d more files are open", n)
		}
	}
	if err := writeImage(t, l, img); err != nil {
		t.Fatal(err)
	}
	images(t, path)
	if left := listing(t, path); slices.ContainsFunc(left, func(name string) bool { return temp.Is(filepath.Base(name)) }) {
		t.Errorf("unfinished files are left: %q", left)
	}
}

func TestLayoutNewBlob(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	l, err := OpenLayout(path, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "one", "gone", "open"} {
		b, err := l.NewBlob(0, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{text[:1], text[1:]} {
			if _, err := b.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		switch text {
		case "one":
			if err := b.Commit(descriptor(text).Digest, 3); err != nil {
				t.Error(err)
			}
			if _, err := b.Write(nil); err == nil {
				t.Error("write after commit: no error")
			}
			if err := b.Discard(); err != nil {
				t.Error(err)
			}
		case "gone":
			if err := b.Discard(); err != nil {
				t.Error(err)
			}
		case "open":
			defer b.Discard()
		}
	}
	if err := writeImage(t, l, testImage(t)); err == nil || !strings.Contains(err.Error(), "a blob is not finished") {
		t.Errorf("got error %v", err)
	}
	wantListing(t, filepath.Dir(path))
}
