package oci

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// ToDocker converts the manifests and indexes of an image to Docker's formats, which have no
// annotations. An index must come after its manifests. Configs and layers are not changed. The
// result is the same as with Image.Docker.
func ToDocker(docs []Document) ([]Document, error) {
	converted := make([]Document, len(docs))
	now := make(map[digest.Digest]v1.Descriptor) // new descriptors, by the old digest
	for i, doc := range docs {
		var err error
		switch doc.Descriptor.MediaType {
		case v1.MediaTypeImageManifest:
			converted[i], err = dockerManifest(doc.Data)
		case v1.MediaTypeImageIndex:
			converted[i], err = dockerIndex(doc.Data, now)
		default:
			converted[i] = doc
		}
		if err != nil {
			return nil, fmt.Errorf("converting manifest %q to Docker's format: %w", doc.Descriptor.Digest, err)
		}
		now[doc.Descriptor.Digest] = converted[i].Descriptor
	}
	return converted, nil
}

func dockerManifest(data []byte) (Document, error) {
	var m v1.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Document{}, err
	}
	if m.Config.MediaType != v1.MediaTypeImageConfig && m.Config.MediaType != MediaTypeDockerConfig {
		return Document{}, fmt.Errorf("is an artifact, not an image: its config has the type %q", m.Config.MediaType)
	}
	m.Config.MediaType = MediaTypeDockerConfig
	layers := make([]v1.Descriptor, 0, len(m.Layers))
	for _, l := range m.Layers {
		if err := CheckDockerLayer(l); err != nil {
			return Document{}, err
		}
		layers = append(layers, dockerLayer(l))
	}
	return document(MediaTypeDockerManifest, dockerManifestValue(m.Config, layers))
}

func dockerManifestValue(config v1.Descriptor, layers []v1.Descriptor) v1.Manifest {
	return v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: MediaTypeDockerManifest, Config: config, Layers: layers,
	}
}

func dockerIndex(data []byte, now map[digest.Digest]v1.Descriptor) (Document, error) {
	var index v1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return Document{}, err
	}
	manifests := make([]v1.Descriptor, 0, len(index.Manifests))
	for _, d := range index.Manifests {
		to, known := now[d.Digest]
		if !known {
			return Document{}, fmt.Errorf("manifest %q is missing", d.Digest)
		}
		to.Platform = d.Platform
		manifests = append(manifests, to)
	}
	return document(MediaTypeDockerIndex, dockerIndexValue(manifests))
}

func dockerIndexValue(manifests []v1.Descriptor) v1.Index {
	plain := make([]v1.Descriptor, 0, len(manifests))
	for _, d := range manifests {
		plain = append(plain, v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Platform: d.Platform})
	}
	list := indexValue(plain, nil)
	list.MediaType = MediaTypeDockerIndex
	return list
}
