package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// A cache contains a tag, so that backup tools skip the directory (Cache Directory Tagging
// Specification). The second line identifies the owner and must not change.
const (
	tagName = "CACHEDIR.TAG"
	tag     = "Signature: 8a477f597d28d172789f06886806bc55\n" + tagLine + "\n# You can delete its contents. chunkah makes them again when it needs them.\n"
	tagLine = "# This folder is a cache of compressed layers, made by chunkah."
	maxTag  = 4096 // largest number of bytes read from a tag
)

// errForeign is the error for a directory that is not a cache.
var errForeign = errors.New("not a chunkah cache: use a new or empty directory for --cache")

// prepareDir makes sure that dir is a cache. A cache contains our tag. An empty directory gets the
// tag, and so does a directory that contains only blobs, because older caches had no tag.
func prepareDir(dir string) error {
	marked, err := isMarked(dir)
	if marked || err != nil {
		return err
	}
	foreign, err := findForeign(dir)
	if err != nil {
		return err
	}
	if foreign != "" {
		return fmt.Errorf("contains %q, so it is %w", foreign, errForeign)
	}
	return temp.Replace(filepath.Join(dir, tagName), []byte(tag))
}

// isMarked reports whether dir contains our tag.
func isMarked(dir string) (bool, error) {
	f, err := regular.OpenOwn(filepath.Join(dir, tagName))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, regular.ErrNot) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTag))
	return bytes.Contains(text, []byte("\n"+tagLine+"\n")), err
}

// findForeign returns the name of a file in dir that does not belong to a cache, or "" if dir
// contains no such file.
func findForeign(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if isTemp(e) { // a tag that another build is writing
			continue
		}
		if !isKey(e) {
			return e.Name(), nil
		}
		blobs, err := os.ReadDir(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		for _, b := range blobs {
			if !isBlob(b) && !isTemp(b) {
				return filepath.Join(e.Name(), b.Name()), nil
			}
		}
	}
	return "", nil
}
