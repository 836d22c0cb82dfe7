package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// checkLayout refuses a directory unless it is empty, an OCI layout, or an unfinished layout that a
// killed run left behind. It also refuses a layout if it is not clear which image the new image
// named ref should replace.
func checkLayout(dir, ref string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == v1.ImageLayoutFile, name == v1.ImageIndexFile, name == v1.ImageBlobsDir && e.IsDir(), temp.Is(name):
		default:
			if _, err := os.Lstat(filepath.Join(dir, v1.ImageLayoutFile)); err == nil {
				continue // a layout can contain other files
			}
			return fmt.Errorf("contains %q, but is not an OCI layout: use a new or empty directory", name)
		}
	}
	if err := checkLayoutFile(dir); err != nil {
		return err
	}
	_, err = mergedIndex(dir, nil, ref)
	return err
}

func checkLayoutFile(dir string) error {
	data, err := readDocument(filepath.Join(dir, v1.ImageLayoutFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return CheckLayoutFile(data)
}

// CheckLayoutFile checks that the file oci-layout is valid and has a supported version.
func CheckLayoutFile(data []byte) error {
	var layout v1.ImageLayout
	if err := json.Unmarshal(data, &layout); err != nil {
		return fmt.Errorf("reading %q: %w", v1.ImageLayoutFile, err)
	}
	if layout.Version != v1.ImageLayoutVersion {
		return fmt.Errorf("layout version is %q: expected %q", layout.Version, v1.ImageLayoutVersion)
	}
	return nil
}

// readDocument reads a document in a layout. It does not block on special files.
func readDocument(path string) ([]byte, error) {
	f, err := regular.Open(path)
	if errors.Is(err, regular.ErrNot) {
		return nil, fmt.Errorf("reading %q: not a regular file", filepath.Base(path))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, err
	case info.Size() > MaxDocument:
		return nil, fmt.Errorf("reading %q: the file is %d bytes, above the limit of %d", filepath.Base(path), info.Size(), MaxDocument)
	}
	return io.ReadAll(io.LimitReader(f, MaxDocument))
}

// entry contains the fields that identify an image in an index.
type entry struct {
	Annotations map[string]string `json:"annotations"`
}

// mergedIndex returns the index of the layout at dir after adding the image in index, named ref.
// Other entries are not changed. If index is nil, mergedIndex only checks whether adding an image
// will work.
func mergedIndex(dir string, index []byte, ref string) ([]byte, error) {
	data, err := readDocument(filepath.Join(dir, v1.ImageIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return nil, err
	}
	old, manifests, err := readIndex(data)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", v1.ImageIndexFile, err)
	}
	var added map[string]json.RawMessage
	var coming []json.RawMessage
	names := []string{ref}
	if index != nil {
		if err := json.Unmarshal(index, &added); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(added["manifests"], &coming); err != nil {
			return nil, err
		}
		if names, err = namesOf(coming); err != nil {
			return nil, err
		}
	}
	kept, err := keptImages(manifests, names)
	if err != nil || index == nil {
		return nil, err
	}
	maps.Copy(old, added)
	if old["manifests"], err = json.Marshal(append(kept, coming...)); err != nil {
		return nil, err
	}
	merged, err := canonical(old)
	if err == nil && len(merged) > MaxDocument {
		err = fmt.Errorf("%s would have %d bytes with this image, but only %d can be read: remove images that are not needed", v1.ImageIndexFile, len(merged), MaxDocument)
	}
	return merged, err
}

// readIndex reads an index that another program may have written. It refuses duplicate keys,
// because readers interpret them differently and rewriting the index would lose one of them.
func readIndex(data []byte) (index map[string]json.RawMessage, manifests []json.RawMessage, err error) {
	if err := CheckJSON(data); err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(data, &index); err != nil || index == nil {
		return nil, nil, errors.New("not a JSON object")
	}
	for _, key := range sortedKeys(index) {
		if err := nearMiss(key, map[string]bool{"manifests": true}); err != nil {
			return nil, nil, err
		}
	}
	if raw := index["manifests"]; !isNull(raw) {
		if err := json.Unmarshal(raw, &manifests); err != nil {
			return nil, nil, errors.New("manifests is not an array")
		}
	}
	return index, manifests, nil
}

// namesOf returns the names of an index's entries. An empty string stands for an entry without a
// name.
func namesOf(manifests []json.RawMessage) ([]string, error) {
	names := make([]string, len(manifests))
	for i, raw := range manifests {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("reading %q: %w", v1.ImageIndexFile, err)
		}
		names[i] = e.Annotations[annotationRefName]
	}
	return names, nil
}

// keptImages returns the images that are kept when an image with the given names is added. An image
// without a name replaces the image without a name, or the only image.
func keptImages(manifests []json.RawMessage, coming []string) ([]json.RawMessage, error) {
	names, err := namesOf(manifests)
	if err != nil {
		return nil, err
	}
	unnamed := slices.Contains(coming, "")
	var kept []json.RawMessage
	for i, raw := range manifests {
		only := unnamed && len(manifests) == 1
		if !only && !slices.Contains(coming, names[i]) {
			kept = append(kept, raw)
		}
	}
	if gone := len(manifests) - len(kept); unnamed && len(manifests) > 0 && gone != 1 {
		return nil, fmt.Errorf("contains %d images: choose one, for example oci:PATH:NAME", len(manifests))
	}
	return kept, nil
}

// CheckIndex reads an image's index and checks that its manifests have already been written.
func CheckIndex(index []byte, has func(digest.Digest) bool) (*v1.Index, error) {
	var parsed v1.Index
	if err := json.Unmarshal(index, &parsed); err != nil {
		return nil, fmt.Errorf("parsing the new index: %w", err)
	}
	if len(parsed.Manifests) == 0 {
		return nil, errors.New("the new index lists no image")
	}
	for _, m := range parsed.Manifests {
		if err := checkDescriptor(m); err != nil {
			return nil, err
		}
		if !has(m.Digest) {
			return nil, fmt.Errorf("the manifest %q has not been written", m.Digest)
		}
	}
	return &parsed, nil
}
