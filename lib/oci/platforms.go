package oci

import (
	"fmt"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Index is an image for several platforms: an index of manifests, from which each client chooses
// the manifest for its platform.
type Index struct {
	Manifests   []v1.Descriptor // with their platforms, in order
	Annotations map[string]string
	Ref         string // as in Image
	Also        []string
	Docker      bool // write a Docker manifest list, which has no annotations
}

// Build builds the index, which is a blob, and the root index for Destination.Finish. The root
// index contains the descriptor of the index, with its name. Equal values result in the same bytes.
func (x *Index) Build() (index Document, root []byte, err error) {
	if err := checkNames(x.Ref, x.Also); err != nil {
		return Document{}, nil, err
	}
	if err := checkText(x.Annotations); err != nil {
		return Document{}, nil, err
	}
	for _, d := range x.Manifests {
		if err := checkDescriptor(d); err != nil {
			return Document{}, nil, err
		}
	}
	value := indexValue(x.Manifests, x.Annotations)
	if x.Docker {
		value = dockerIndexValue(x.Manifests)
	}
	if index, err = document(value.MediaType, value); err != nil {
		return Document{}, nil, fmt.Errorf("building image index: %w", err)
	}
	root, err = rootIndex(index.Descriptor, x.Ref, x.Also)
	return index, root, err
}

// rootIndex returns the root index of a destination with one image or one index. It contains one
// entry per name.
func rootIndex(d v1.Descriptor, ref string, also []string) ([]byte, error) {
	var entries []v1.Descriptor
	for _, name := range append([]string{ref}, also...) {
		d.Annotations = refAnnotations(name)
		entries = append(entries, d)
	}
	data, err := canonical(indexValue(entries, nil))
	if err != nil {
		return nil, fmt.Errorf("building image index: %w", err)
	}
	return data, nil
}

func indexValue(manifests []v1.Descriptor, annotations map[string]string) v1.Index {
	return v1.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   v1.MediaTypeImageIndex,
		Manifests:   manifests,
		Annotations: annotations,
	}
}
