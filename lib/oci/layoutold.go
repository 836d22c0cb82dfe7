package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxOldDepth limits how deeply indexes are followed when the blobs of a layout are collected.
const maxOldDepth = 4

// blobSet is a set of blobs in a layout.
type blobSet map[digest.Digest]bool

// oldBlobs returns the blobs of images that are about to disappear from the layout's index and that
// Options.Own recognises. It ignores images made by other tools and unreadable documents.
func (l *Layout) oldBlobs(merged []byte) (blobSet, error) {
	if l.opt.Own == nil {
		return nil, nil
	}
	data, err := readDocument(filepath.Join(l.dir, v1.ImageIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var before, after v1.Index
	if json.Unmarshal(data, &before) != nil || json.Unmarshal(merged, &after) != nil {
		return nil, nil //nolint:nilerr // an unreadable index does not show which image is replaced
	}
	listed := blobSet{}
	for _, m := range after.Manifests {
		listed[m.Digest] = true
	}
	old, judged := blobSet{}, map[digest.Digest]bool{}
	for _, m := range before.Manifests {
		if !listed[m.Digest] {
			l.addOwn(old, judged, m, 0)
		}
	}
	return old, nil
}

// addOwn adds the blobs of an image that Own recognises, or of an index of such images, and reports
// whether it did. Each document is examined once, even if many indexes list it.
func (l *Layout) addOwn(old blobSet, judged map[digest.Digest]bool, d v1.Descriptor, depth int) bool {
	own, known := judged[d.Digest]
	if !known {
		own = l.judge(old, judged, d, depth)
		judged[d.Digest] = own
	}
	return own
}

func (l *Layout) judge(old blobSet, judged map[digest.Digest]bool, d v1.Descriptor, depth int) bool {
	m, err := l.readListed(d)
	if err != nil || depth > maxOldDepth {
		return false
	}
	if len(m.Manifests) > 0 {
		all := true
		for _, inner := range m.Manifests {
			all = l.addOwn(old, judged, inner, depth+1) && all
		}
		if all {
			old[d.Digest] = true
		}
		return all
	}
	var config v1.Image
	data, err := l.readBlob(m.Config)
	if err != nil || json.Unmarshal(data, &config) != nil {
		return false
	}
	var layers []v1.History
	for _, h := range config.History {
		if !h.EmptyLayer {
			layers = append(layers, h)
		}
	}
	if len(layers) != len(m.Layers) {
		return false
	}
	made := false
	for i, layer := range m.Layers {
		if l.opt.Own(layers[i]) && checkDescriptor(layer) == nil { // a forged digest could be a path outside the layout
			old[layer.Digest], made = true, true
		}
	}
	if made {
		old[d.Digest], old[m.Config.Digest] = true, true
	}
	return made
}

// listed is the part of a manifest or index that lists blobs.
type listed struct {
	Config    v1.Descriptor   `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Blobs     []v1.Descriptor `json:"blobs"`
	Manifests []v1.Descriptor `json:"manifests"`
}

func (l *Layout) readListed(d v1.Descriptor) (m listed, err error) {
	data, err := l.readBlob(d)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// readBlob reads a document in the layout. It verifies both the document and its descriptor.
func (l *Layout) readBlob(d v1.Descriptor) ([]byte, error) {
	if err := checkDescriptor(d); err != nil {
		return nil, err
	}
	data, err := readDocument(filepath.Join(l.dir, blobName(d.Digest)))
	if err == nil && digest.FromBytes(data) != d.Digest {
		err = fmt.Errorf("the content of blob %q has a different digest", d.Digest)
	}
	return data, err
}

// keep removes from old all blobs that a manifest in the layout still lists. seen contains the
// manifests that have already been read. keep fails if a manifest cannot be read, because its blobs
// are then unknown.
func (l *Layout) keep(old, seen blobSet, d v1.Descriptor, depth int) error {
	delete(old, d.Digest)
	if seen[d.Digest] {
		return nil
	}
	seen[d.Digest] = true
	if depth > maxOldDepth {
		return fmt.Errorf("index %q is nested too deeply", d.Digest)
	}
	m, err := l.readListed(d)
	if err != nil {
		return err
	}
	for _, b := range append(append(m.Layers, m.Blobs...), m.Config) {
		delete(old, b.Digest)
	}
	for _, inner := range m.Manifests {
		if err := l.keep(old, seen, inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// removeOld removes old blobs that no image in the layout needs. It ignores errors, because the new
// image is already complete.
func (l *Layout) removeOld(old blobSet, merged []byte) {
	var index v1.Index
	if len(old) == 0 || json.Unmarshal(merged, &index) != nil {
		return
	}
	seen := blobSet{}
	for _, m := range index.Manifests {
		if l.keep(old, seen, m, 0) != nil {
			return
		}
	}
	for d := range old {
		_ = os.Remove(filepath.Join(l.dir, blobName(d)))
	}
}
