//go:build !cgo || exclude_graphdriver_btrfs

package storage

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	containers "go.podman.io/storage"

	"chunkah/lib/oci"
)

// describe fills in the image's record as podman does.
func (w *Writer) describe(index []byte) error {
	list, err := oci.CheckIndex(index, func(d digest.Digest) bool { return w.docs[d].Data != nil })
	if err != nil {
		return err
	}
	manifest := w.docs[list.Manifests[0].Digest]
	var m v1.Manifest
	if err := json.Unmarshal(manifest.Data, &m); err != nil {
		return fmt.Errorf("parsing the new manifest: %w", err)
	}
	config := w.docs[m.Config.Digest]
	if config.Data == nil {
		return fmt.Errorf("the manifest %q has no config, and containers-storage stores only images for one platform", manifest.Descriptor.Digest)
	}
	var c v1.Image
	if err := json.Unmarshal(config.Data, &c); err != nil {
		return fmt.Errorf("parsing the new config: %w", err)
	}
	named := manifest.Descriptor.Digest
	w.id = config.Descriptor.Digest.Encoded()
	w.img = &containers.ImageOptions{
		Digest: named, Metadata: "{}",
		BigData: []containers.ImageBigDataOption{
			{Key: config.Descriptor.Digest.String(), Data: config.Data, Digest: config.Descriptor.Digest},
			{Key: containers.ImageDigestManifestBigDataNamePrefix + "-" + named.String(), Data: manifest.Data, Digest: named},
			{Key: containers.ImageDigestBigDataKey, Data: manifest.Data, Digest: named},
		},
	}
	if c.Created != nil {
		w.img.CreationDate = *c.Created
	}
	return nil
}

// create records the image, or updates the manifest in an existing record of the image.
func (w *Writer) create() error {
	if err := w.wait(w.lock("images")); err != nil {
		return err
	}
	_, err := w.store.CreateImage(w.id, nil, w.top, "", w.img)
	if err == nil {
		w.made = true
		return nil
	}
	if !errors.Is(err, containers.ErrDuplicateID) {
		return w.imageError(err)
	}
	old, err := w.store.Image(w.id)
	if err != nil {
		return w.imageError(err)
	}
	if old.TopLayer != w.top {
		return w.imageError(fmt.Errorf("exists with other layers: remove it with podman rmi %s", w.id))
	}
	for _, item := range w.img.BigData {
		if err := w.store.SetImageBigData(w.id, item.Key, item.Data, func([]byte) (digest.Digest, error) { return item.Digest, nil }); err != nil {
			return w.imageError(err)
		}
	}
	return nil
}

func (w *Writer) imageError(err error) error {
	return fmt.Errorf("writing image %q to containers-storage in %q: %w", w.id, w.store.GraphRoot(), err)
}
