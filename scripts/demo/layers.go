package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxShown bounds how much of a layer's list of components is shown, in bytes.
const maxShown = 60

// maxBlob bounds a manifest, in bytes; layers are larger or are not JSON.
const maxBlob = 4 << 20

// showLayers prints one line a layer of an OCI archive: its index, size and
// components.
func showLayers(w io.Writer, archive string) error {
	manifest, err := readManifest(archive)
	if err != nil {
		return fmt.Errorf("reading %q: %w", archive, err)
	}
	var total int64
	fmt.Fprintf(w, "%5s  %9s  %s\n", "LAYER", "SIZE", "COMPONENTS")
	for i, l := range manifest.Layers {
		names := l.Annotations["org.chunkah.component"]
		if len(names) > maxShown {
			names = fmt.Sprintf("%s… (%d in all)", names[:maxShown], len(strings.Split(names, ", ")))
		}
		fmt.Fprintf(w, "%5d  %6.1f MB  %s\n", i, float64(l.Size)/1e6, names)
		total += l.Size
	}
	fmt.Fprintf(w, "%5s  %6.1f MB\n", "all", float64(total)/1e6)
	return nil
}

// readManifest reads an archive's only manifest; blobs may stand in any order.
func readManifest(archive string) (*v1.Manifest, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	blobs := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if h.Size <= maxBlob {
			if blobs[h.Name], err = io.ReadAll(r); err != nil {
				return nil, err
			}
		}
	}
	var index v1.Index
	if err := json.Unmarshal(blobs["index.json"], &index); err != nil {
		return nil, err
	}
	if len(index.Manifests) != 1 {
		return nil, fmt.Errorf("%d images, not one", len(index.Manifests))
	}
	var manifest v1.Manifest
	name := "blobs/" + strings.Replace(index.Manifests[0].Digest.String(), ":", "/", 1)
	return &manifest, json.Unmarshal(blobs[name], &manifest)
}
