package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// mediaTypeNondistributed is the prefix of media types for layers that registries need not store.
const mediaTypeNondistributed = "application/vnd.oci.image.layer.nondistributable."

// checkDocument refuses JSON that would take too much memory.
func checkDocument(data []byte) error {
	if len(data) > oci.MaxDocument {
		return fmt.Errorf("is %d bytes, above the limit of %d", len(data), oci.MaxDocument)
	}
	if n := bytes.Count(data, []byte{','}); n > maxCommas {
		return fmt.Errorf("contains lists with %d elements, above the limit of %d", n, maxCommas)
	}
	return nil
}

// IsIndex reports whether a document is an index. Its media type can be missing or wrong. A
// document that could be both an index and a manifest is refused, because clients treat such a
// document differently.
func IsIndex(data []byte, mediaType string) (bool, error) {
	var probe struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Manifests     json.RawMessage `json:"manifests"`
		Layers        json.RawMessage `json:"layers"`
		Config        json.RawMessage `json:"config"`
		FSLayers      json.RawMessage `json:"fsLayers"`
	}
	if err := json.Unmarshal(data, &probe); err != nil {
		return false, fmt.Errorf("reading the manifest: %w", err)
	}
	if probe.SchemaVersion == 1 || probe.FSLayers != nil || strings.HasPrefix(mediaType, oci.MediaTypeDockerSchema1) {
		return false, errors.New("the manifest uses schema 1, which lists no diffIDs: pull and push the image with a current client")
	}
	if probe.Manifests != nil && (probe.Layers != nil || probe.Config != nil) {
		return false, errors.New("the manifest also contains the fields of an index, and clients read such a document differently")
	}
	said := mediaType
	if probe.MediaType != "" {
		if said != "" && said != probe.MediaType {
			return false, fmt.Errorf("the manifest has the media type %q, but its descriptor specifies %q", probe.MediaType, said)
		}
		said = probe.MediaType
	}
	switch said {
	case v1.MediaTypeImageIndex, oci.MediaTypeDockerIndex:
		return true, nil
	case v1.MediaTypeImageManifest, oci.MediaTypeDockerManifest:
		return false, nil
	case "":
		return probe.Manifests != nil, nil
	}
	return false, fmt.Errorf("the media type %q is not an image media type", said)
}

// parseManifest reads an image manifest. It refuses other manifests and unreadable layers.
func parseManifest(data []byte) (*v1.Manifest, error) {
	m, err := parseAnyManifest(data)
	if err != nil {
		return nil, err
	}
	for i, l := range m.Layers {
		if err := CheckLayerType(l.MediaType); err != nil {
			return nil, fmt.Errorf("layer %d (%s): %w", i, l.Digest, err)
		}
	}
	return m, nil
}

// parseAnyManifest reads an image manifest with layers of any kind, for example for other operating
// systems.
func parseAnyManifest(data []byte) (*v1.Manifest, error) {
	var m v1.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	if err := CheckConfigType(m.Config.MediaType); err != nil {
		return nil, err
	}
	if err := oci.CheckDescriptor(m.Config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("has %d layers, above the limit of %d", len(m.Layers), maxLayers)
	}
	for i, l := range m.Layers {
		if err := oci.CheckDescriptor(l); err != nil {
			return nil, fmt.Errorf("layer %d (%s): %w", i, l.Digest, err)
		}
	}
	return &m, nil
}

// looseTypes are the media types that Docker used for image configs, and that registries used until
// 2016. Docker, podman and crane still accept them (distribution issue 1621).
var looseTypes = []string{"application/octet-stream", "application/json", "text/html", "text/plain", ""}

// IsLooseType reports whether the media type of a config is too general to identify it.
func IsLooseType(mediaType string) bool { return slices.Contains(looseTypes, mediaType) }

// CheckConfigType refuses a media type that is not used for image configs. A loose type is accepted
// here, and the config itself is checked when it is read.
func CheckConfigType(mediaType string) error {
	if mediaType == v1.MediaTypeImageConfig || mediaType == oci.MediaTypeDockerConfig || IsLooseType(mediaType) {
		return nil
	}
	return fmt.Errorf("is an artifact, not an image: its config has the type %q", mediaType)
}

// CheckLayerType refuses layers that cannot be read.
func CheckLayerType(mediaType string) error {
	if _, known := layerTypes[mediaType]; known {
		return nil
	}
	if IsForeign(mediaType) {
		return fmt.Errorf("has the media type %q: its author does not allow its distribution", mediaType)
	}
	return fmt.Errorf("has the unknown media type %q", mediaType)
}

// IsForeign reports whether a layer is fetched from another place and is not part of the image.
// Windows images use such layers.
func IsForeign(mediaType string) bool {
	return strings.HasPrefix(mediaType, mediaTypeNondistributed) || strings.HasPrefix(mediaType, oci.MediaTypeDockerForeign)
}

// parseConfig reads the fields of a config that Image needs.
func parseConfig(data []byte, img *Image, layers []v1.Descriptor) error {
	var c struct {
		v1.Platform
		Created string       `json:"created"`
		RootFS  v1.RootFS    `json:"rootfs"`
		History []v1.History `json:"history"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	if c.OS != "" && c.OS != "linux" {
		return fmt.Errorf("is for the operating system %q: expected \"linux\"", c.OS)
	}
	if len(c.RootFS.DiffIDs) != len(layers) {
		return fmt.Errorf("manifest has %d layers, but config has %d diff_ids", len(layers), len(c.RootFS.DiffIDs))
	}
	img.Platform = c.Platform
	if c.Created != "" {
		t, err := time.Parse(time.RFC3339Nano, c.Created)
		if err != nil {
			return fmt.Errorf("reading the config: created is %q: expected a time such as 2006-01-02T15:04:05Z", c.Created)
		}
		if t.Year() > 1 { // Docker writes the year 1 for "unknown"
			img.Created = &t
		}
	}
	history := layerHistory(c.History, len(layers))
	for i, d := range layers {
		if err := c.RootFS.DiffIDs[i].Validate(); err != nil {
			return fmt.Errorf("reading the config: diffID %q: %w", c.RootFS.DiffIDs[i], err)
		}
		img.Layers = append(img.Layers, Layer{Descriptor: d, DiffID: c.RootFS.DiffIDs[i], History: history[i]})
	}
	return nil
}

// layerHistory returns the history of each layer. It is empty if the config's history does not
// match the layers.
func layerHistory(all []v1.History, layers int) []v1.History {
	var list []v1.History
	for _, h := range all {
		if !h.EmptyLayer {
			list = append(list, h)
		}
	}
	if len(list) != layers {
		return make([]v1.History, layers)
	}
	return list
}
