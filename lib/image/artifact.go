package image

import (
	"encoding/json"
	"strings"

	"chunkah/lib/oci"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Artifact reports whether a manifest describes something other than an image, and returns its
// blobs. Examples are SBOMs, signatures, SOCI indexes, Helm charts, CNAB bundles, and manifests of
// older or newer kinds. Indexes list artifacts next to images. Artifacts can be verified and copied
// without knowing their format.
//
// Some artifacts use the config of an image so that old registries accept them. They can be
// recognised by their layers.
func Artifact(data []byte, d v1.Descriptor) (blobs []v1.Descriptor, isArtifact bool) {
	var m struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Config        *v1.Descriptor  `json:"config"`
		Layers        []v1.Descriptor `json:"layers"`
		Blobs         []v1.Descriptor `json:"blobs"` // blobs in an artifact manifest, OCI 1.1-rc
		Manifests     json.RawMessage `json:"manifests"`
	}
	wellFormed := json.Unmarshal(data, &m) == nil
	if m.Config != nil {
		blobs = append(blobs, *m.Config)
	}
	blobs = append(append(blobs, m.Layers...), m.Blobs...)
	if IsAttestation(d) {
		return blobs, true
	}
	said := d.MediaType
	if said == "" {
		said = m.MediaType
	}
	switch said {
	case v1.MediaTypeImageIndex, oci.MediaTypeDockerIndex:
		return nil, false
	case v1.MediaTypeImageManifest, oci.MediaTypeDockerManifest, "":
		isImage := m.Config == nil || CheckConfigType(m.Config.MediaType) == nil && anyLayer(m.Layers)
		if !wellFormed || m.Manifests != nil || isImage {
			return nil, false // the code that reads it reports the error
		}
	}
	if strings.HasPrefix(said, oci.MediaTypeDockerSchema1) || m.SchemaVersion == 1 {
		return nil, false
	}
	return blobs, true
}

// anyLayer reports whether at least one of the layers is an image layer. An image can also have no
// layers.
func anyLayer(layers []v1.Descriptor) bool {
	for _, l := range layers {
		if CheckLayerType(l.MediaType) == nil || IsForeign(l.MediaType) {
			return true
		}
	}
	return len(layers) == 0
}
