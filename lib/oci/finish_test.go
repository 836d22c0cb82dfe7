package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A finished image is complete at its location, and visible nowhere else. A discarded image is
// never visible.
func TestFinish(t *testing.T) {
	for name, open := range opened {
		if name == "stream" {
			continue
		}
		for _, commit := range []bool{true, false} {
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			d, err := open(path, Options{Readable: true})
			if err != nil {
				t.Fatal(err)
			}
			at := finishImage(t, d, testImage(t))[0]
			if strings.HasSuffix(name, "archive") {
				files, _ := readArchive(t, at.Path)
				if !strings.Contains(files, "index.json") || (name == "docker archive") != strings.Contains(files, "manifest.json") {
					t.Errorf("%s: %+v holds %s", name, at, files)
				}
			} else {
				_, err := os.Stat(filepath.Join(at.Path, "index.json"))
				if pinned := strings.HasPrefix(at.Ref, "@sha256:"); pinned == (err == nil) || pinned != (name == "empty folder") {
					t.Errorf("%s: it is at %+v: %v", name, at, err)
				}
			}
			if _, err := os.Stat(filepath.Join(path, "index.json")); err == nil || name != "empty folder" && at.Path == path {
				t.Errorf("%s: it is there already", name)
			}
			if commit {
				if err := d.Commit(); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(path); err != nil {
					t.Error(err)
				}
				continue
			}
			if err := d.Discard(); err != nil {
				t.Error(err)
			}
			for _, left := range listing(t, dir) {
				if left != "out" || name != "empty folder" {
					t.Errorf("%s: %s is there", name, left)
				}
			}
		}
	}
}

// A discarded image does not replace an existing image.
func TestDiscardKeepsTheOldImage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	if err := layoutTo(t, dir, "app", "one"); err != nil {
		t.Fatal(err)
	}
	before := images(t, dir)
	l, err := OpenLayout(dir, "app", Options{Readable: true})
	if err != nil {
		t.Fatal(err)
	}
	finishImage(t, l, testImage(t))
	if during := images(t, dir); during != before {
		t.Errorf("the layout has %s before Commit, and had %s", during, before)
	}
	if err := l.Discard(); err != nil {
		t.Error(err)
	}
	if after := images(t, dir); after != before {
		t.Errorf("the layout has %s, and had %s", after, before)
	}
}

// The end of a stream is not written before Commit, because readers would accept a complete stream
// as an image.
func TestStreamEndsWithCommit(t *testing.T) {
	for _, commit := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "stream")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		a := NewArchive(f)
		finishImage(t, a, testImage(t))
		end := a.Discard
		if commit {
			end = a.Commit
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		if data, err := os.ReadFile(path); err != nil || strings.Contains(string(data), "index.json") != commit {
			t.Errorf("commit %v: it has %d bytes, %v", commit, len(data), err)
		}
	}
}

// An output from which the image cannot be read again is refused.
func TestReadableInPlace(t *testing.T) {
	_, err := CreateArchive("/dev/null", Options{Readable: true})
	if err == nil || !strings.Contains(err.Error(), `"/dev/null": not a regular file`) {
		t.Errorf("the error is %v", err)
	}
}

// An image that is not finished cannot be committed.
func TestCommitNeedsFinish(t *testing.T) {
	for name, open := range opened {
		dir := t.TempDir()
		d, err := open(filepath.Join(dir, "out"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left := listing(t, dir); len(left) > 0 && name != "empty folder" {
			t.Errorf("%s: %q is there", name, left)
		}
	}
}
