package oci

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is to be checked is whole where the check is told to look, and nothing is to be
// seen yet; what fails it never is.
func TestCheck(t *testing.T) {
	wrong := errors.New("wrong")
	for name, open := range opened {
		if name == "stream" {
			continue
		}
		for _, fails := range []error{nil, wrong} {
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			calls := 0
			d, err := open(path, Options{Check: func(at Target) error {
				calls++
				switch at.Kind {
				case KindLayout:
					if _, err := os.Stat(filepath.Join(at.Path, "oci-layout")); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					_, err := os.Stat(filepath.Join(at.Path, "index.json"))
					if pinned := strings.HasPrefix(at.Ref, "@sha256:"); pinned == (err == nil) {
						t.Errorf("%s: checked as %+v: %v", name, at, err)
					}
				default:
					files, _ := readArchive(t, at.Path)
					if !strings.Contains(files, "index.json") || (at.Kind == KindDockerArchive) != strings.Contains(files, "manifest.json") {
						t.Errorf("%s: checked as %+v: %s", name, at, files)
					}
				}
				if _, err := os.Stat(filepath.Join(path, "index.json")); at.Path == path && err == nil {
					t.Errorf("%s: it is there already", name)
				}
				return fails
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := writeImage(t, d, testImage(t)); !errors.Is(err, fails) || calls != 1 {
				t.Errorf("%s: %v, %d checks, want %v", name, err, calls, fails)
			}
			if fails == nil {
				continue
			}
			for _, left := range listing(t, dir) {
				if left != "out" || name != "empty folder" {
					t.Errorf("%s: %s is there", name, left)
				}
			}
		}
	}
}

// An image that takes another's place is checked before it does.
func TestCheckKeepsWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	if err := layoutTo(t, dir, "app", "one"); err != nil {
		t.Fatal(err)
	}
	before := images(t, dir)
	wrong := errors.New("wrong")
	l, err := OpenLayout(dir, "app", Options{Check: func(Target) error { return wrong }})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeImage(t, l, testImage(t)); !errors.Is(err, wrong) {
		t.Errorf("the error is %v", err)
	}
	if after := images(t, dir); after != before {
		t.Errorf("the layout has %s, and had %s", after, before)
	}
}

// What cannot be read again is not written to.
func TestCheckInPlace(t *testing.T) {
	_, err := CreateArchive("/dev/null", Options{Check: func(Target) error { return nil }})
	if err == nil || !strings.Contains(err.Error(), `"/dev/null": it is no file of its own`) {
		t.Errorf("the error is %v", err)
	}
}
