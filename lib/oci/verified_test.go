package oci

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A blob that this run has already hashed is not hashed again, unless its file has changed since
// then or is another file. The contents are wrong, so a blob that is hashed is also written.
func TestLayoutVerifiedBlob(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(path string) error
		written bool
	}{
		"the verified file": {func(string) error { return nil }, false},
		"other bytes":       {func(path string) error { return os.WriteFile(path, []byte("on3"), 0o666) }, true},
		"another file": {func(path string) error {
			return errors.Join(os.WriteFile(path+"2", []byte("0ne"), 0o666), os.Rename(path+"2", path))
		}, true},
	} {
		path := t.TempDir()
		if err := layoutTo(t, path, "", "one"); err != nil {
			t.Fatal(err)
		}
		blob := filepath.Join(path, "blobs/sha256", fmt.Sprintf("%x", sha256.Sum256([]byte("one"))))
		if err := os.WriteFile(blob, []byte("0ne"), 0o666); err != nil {
			t.Fatal(err)
		}
		verified, err := os.Stat(blob)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // old kernels count time in ticks
		if err := errors.Join(test.change(blob), os.Chtimes(blob, verified.ModTime(), verified.ModTime())); err != nil {
			t.Fatal(err)
		}
		if name == "the verified file" {
			if verified, err = os.Stat(blob); err != nil {
				t.Fatal(err)
			}
		}
		l, err := OpenLayout(path, "", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Blob(descriptor("one"), Hint{Verified: verified}, Data([]byte("one"))); err != nil {
			t.Fatal(err)
		}
		if written := len(l.complete) > 0; written != test.written {
			t.Errorf("%s: the blob was written: %t, want %t", name, written, test.written)
		}
		if err := l.Discard(); err != nil {
			t.Error(err)
		}
	}
}
