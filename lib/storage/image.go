package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
	"chunkah/lib/regular"
)

const (
	// maxList limits the size of images.json and layers.json, in bytes. A layer needs a few hundred
	// bytes, plus 64 bytes per file if file owners are listed.
	maxList = 256 << 20
	// maxLayers limits the layers of an image, so that a loop of parent layers ends.
	maxLayers = 1000
)

// Image is one image in a store.
type Image struct {
	store  Store
	id     string
	digest digest.Digest // as podman images --digests shows it, or empty
	layers []layer       // from the bottom up
}

// image is an entry of images.json.
type image struct {
	ID     string        `json:"id"`
	Digest digest.Digest `json:"digest"`
	Names  []string      `json:"names"`
	Layer  string        `json:"layer"`
	// Docs are the digests of the stored documents. The names of manifests begin with "manifest".
	Docs map[string]digest.Digest `json:"big-data-digests"`
}

// has reports whether a digest refers to the image: one of its manifests, or the index from which
// podman pulled it.
func (i image) has(d digest.Digest) bool {
	for name, doc := range i.Docs {
		if strings.HasPrefix(name, "manifest") && doc == d {
			return true
		}
	}
	return i.Digest == d
}

// layer is an entry of layers.json.
type layer struct {
	ID     string        `json:"id"`
	Parent string        `json:"parent"`
	DiffID digest.Digest `json:"diff-digest"`
	Size   int64         `json:"diff-size"`
}

// Open finds an image by its name, its ID or a prefix of its ID.
func Open(s Store, name string) (*Image, error) {
	s, err := s.Find()
	if err != nil {
		return nil, err
	}
	var images []image
	if err := readJSON(s.images(s.Driver), &images); err != nil {
		return nil, err
	}
	found, err := find(images, name)
	if err != nil {
		return nil, fmt.Errorf("checking storage %q: %w", s.Root, err)
	}
	if !validID(found.ID) {
		return nil, fmt.Errorf("the storage lists the invalid image ID %q", found.ID)
	}
	img := &Image{store: s, id: found.ID, digest: found.Digest}
	if found.Layer == "" {
		return img, nil
	}
	var layers []layer
	if err := readJSON(filepath.Join(s.Root, s.Driver+"-layers", "layers.json"), &layers); err != nil {
		return nil, err
	}
	byID := map[string]layer{}
	for _, l := range layers {
		byID[l.ID] = l
	}
	for id := found.Layer; id != ""; {
		l, known := byID[id]
		switch {
		case !known:
			return nil, fmt.Errorf("the image's layer %q is not in %q, but may be in another store: use podman save", id, s.Root)
		case len(img.layers) == maxLayers:
			return nil, fmt.Errorf("the image has more than %d layers", maxLayers)
		case !validID(id):
			return nil, fmt.Errorf("the layer has the ID %q", id)
		case l.DiffID == "":
			return nil, fmt.Errorf("the storage has no digest for the layer %q: use podman save", id)
		}
		img.layers = append(img.layers, l)
		id = l.Parent
	}
	slices.Reverse(img.layers)
	return img, nil
}

// validID reports whether an ID is safe as a file name.
func validID(id string) bool { return id != "" && !strings.ContainsAny(id, "/.\x00") }

// find finds an image by name, as podman does: a name without a registry means an image built on
// this machine, or else an image from any registry.
func find(images []image, name string) (image, error) {
	repository, d, pinned := strings.Cut(name, "@")
	tagged := repository
	if !pinned && !strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		tagged += ":latest"
	}
	for _, matches := range []func(string) bool{
		func(have string) bool { return have == tagged },
		func(have string) bool { return have == "localhost/"+tagged },
		func(have string) bool { return strings.HasSuffix(have, "/"+tagged) },
	} {
		var found []image
		for _, img := range images {
			if slices.ContainsFunc(img.Names, func(have string) bool {
				if pinned {
					colon := strings.LastIndexByte(have, ':')
					have = have[:max(colon, 0)]
				}
				return matches(have)
			}) && (!pinned || img.has(digest.Digest(d))) {
				found = append(found, img)
			}
		}
		if img, err := one(found, name); img.ID != "" || err != nil {
			return img, err
		}
	}
	id := strings.TrimPrefix(name, "sha256:")
	found := slices.DeleteFunc(slices.Clone(images), func(img image) bool { return !strings.HasPrefix(img.ID, id) })
	img, err := one(found, name)
	if err == nil && img.ID == "" {
		err = missingError{fmt.Sprintf("no image %q", name)}
	}
	return img, err
}

// missingError means that the image does not exist.
type missingError struct{ text string }

func (e missingError) Error() string        { return e.text }
func (e missingError) Is(target error) bool { return target == fs.ErrNotExist }

// one returns the image if exactly one was found.
func one(found []image, name string) (image, error) {
	if len(found) == 0 {
		return image{}, nil
	}
	var names []string
	for _, img := range found {
		names = append(names, append(slices.Clone(img.Names), img.ID)[0])
	}
	if len(found) > 1 {
		return image{}, fmt.Errorf("%q matches several images: choose %s", name, strings.Join(names, " or "))
	}
	return found[0], nil
}

func readJSON(path string, to any) error {
	data, err := readFile(path, maxList)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	return nil
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("has more than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return data, nil
}

// Ref returns a name that always refers to this image.
func (i *Image) Ref() string { return "[" + i.store.Driver + "@" + i.store.Root + "]" + i.id }

// Digest returns the digest that podman shows for the image. The result of Manifest has a different
// digest, because it lists the layers as they are stored.
func (i *Image) Digest() digest.Digest { return i.digest }

// Manifest returns the manifest of the image with uncompressed layers.
func (i *Image) Manifest(context.Context, string) (data []byte, mediaType string, err error) {
	if data, err = i.bigData("manifest"); err != nil {
		return nil, "", err
	}
	var m v1.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, "", fmt.Errorf("reading the manifest: %w", err)
	}
	if m.Config.Digest == "" {
		return nil, "", errors.New("an index, or an image with schema 1: use podman save or skopeo copy")
	}
	layerType := v1.MediaTypeImageLayer
	if m.Config.MediaType == oci.MediaTypeDockerConfig {
		layerType = oci.MediaTypeDockerLayer
	}
	m.Layers = []v1.Descriptor{}
	for _, l := range i.layers {
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: layerType, Digest: l.DiffID, Size: l.Size})
	}
	data, err = json.Marshal(m)
	return data, m.MediaType, err
}

// Blob opens a layer or the config.
func (i *Image) Blob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	for _, l := range i.layers {
		if l.DiffID == d.Digest {
			return openLayer(i.store, l)
		}
	}
	data, err := i.bigData(d.Digest.String())
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Close does nothing.
func (i *Image) Close() error { return nil }

// bigData reads a document that is stored with the image. The file is named after the key, or after
// the key in base64.
func (i *Image) bigData(key string) ([]byte, error) {
	name := key
	if strings.Trim(key, ".0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		name = "=" + base64.StdEncoding.EncodeToString([]byte(key))
	}
	return readFile(filepath.Join(i.store.Root, i.store.Driver+"-images", i.id, name), oci.MaxDocument)
}
