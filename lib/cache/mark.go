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
	"chunkah/lib/replace"
)

// A cache has a tag: backups leave out what is in such a folder (the Cache Directory Tagging
// Specification), and the second line says whose cache it is.
const (
	tagName = "CACHEDIR.TAG"
	tag     = "Signature: 8a477f597d28d172789f06886806bc55\n" + tagLine + "\n# Whatever is in it can be removed: it is made again when it is needed.\n"
	tagLine = "# This folder is a cache of compressed layers, made by chunkah."
	maxTag  = 4096 // bytes that are read of one
)

// errForeign says that a folder is somebody else's.
var errForeign = errors.New("it is not a cache of chunkah, and holds other files: name a new or empty folder with --cache")

// claim makes sure that dir is a cache: one that has our tag, or an empty folder, which gets it. So
// does one that holds nothing but blobs, as caches did before they had tags.
func claim(dir string) error {
	marked, err := isMarked(dir)
	if marked || err != nil {
		return err
	}
	foreign, err := holdsForeign(dir)
	if err != nil {
		return err
	}
	if foreign != "" {
		return fmt.Errorf("%w (%q is one)", errForeign, foreign)
	}
	return replace.File(filepath.Join(dir, tagName), []byte(tag))
}

// isMarked reports whether dir has our tag.
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

// holdsForeign names something in dir that no cache has, empty for nothing.
func holdsForeign(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if isTemp(e) { // another build is writing the tag
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
