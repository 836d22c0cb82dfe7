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

// mediaTypeNondistributed begins the media types of layers that registries may not have.
const mediaTypeNondistributed = "application/vnd.oci.image.layer.nondistributable."

// checkDocument refuses JSON that takes more memory than an image's would.
func checkDocument(data []byte) error {
	if len(data) > maxDocument {
		return fmt.Errorf("it has %d bytes, more than %d", len(data), maxDocument)
	}
	if n := bytes.Count(data, []byte{','}); n > maxCommas {
		return fmt.Errorf("its lists have %d elements, more than %d", n, maxCommas)
	}
	return nil
}

// IsIndex tells what kind of document data is. Some leave out the media type, and
// some lie: a document that could be both kinds is refused, since clients do not
// agree on it.
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
		return false, errors.New("its manifest is of schema 1, which has no diffIDs: pull and push it with a current client")
	}
	if probe.Manifests != nil && (probe.Layers != nil || probe.Config != nil) {
		return false, errors.New("its manifest has the fields of an index too: clients do not agree on what it is")
	}
	said := mediaType
	if probe.MediaType != "" {
		if said != "" && said != probe.MediaType {
			return false, fmt.Errorf("its manifest calls itself %q where the descriptor says %q", probe.MediaType, said)
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
	return false, fmt.Errorf("it has the media type %q, which is no image", said)
}

// parseManifest reads a manifest and refuses what is no image, and layers that cannot
// be read.
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

// parseAnyManifest reads the manifest of an image whose layers may be of any kind, as
// those of other systems are.
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
		return nil, fmt.Errorf("it has %d layers, more than %d", len(m.Layers), maxLayers)
	}
	for i, l := range m.Layers {
		if err := oci.CheckDescriptor(l); err != nil {
			return nil, fmt.Errorf("layer %d (%s): %w", i, l.Digest, err)
		}
	}
	return &m, nil
}

// looseTypes are what Docker and registries up to 2016 called the config of an image.
// Docker, podman and crane still take them for one (distribution issue 1621).
var looseTypes = []string{"application/octet-stream", "application/json", "text/html", "text/plain", ""}

// IsLooseType reports whether a config's media type says nothing of what it is.
func IsLooseType(mediaType string) bool { return slices.Contains(looseTypes, mediaType) }

// CheckConfigType refuses the media type of what is no image's config. One that says
// nothing is left to those who read the config.
func CheckConfigType(mediaType string) error {
	if mediaType == v1.MediaTypeImageConfig || mediaType == oci.MediaTypeDockerConfig || IsLooseType(mediaType) {
		return nil
	}
	return fmt.Errorf("it is no image but an artifact: its config is of the type %q", mediaType)
}

// CheckLayerType refuses what is no layer that can be read.
func CheckLayerType(mediaType string) error {
	switch mediaType {
	case v1.MediaTypeImageLayer, v1.MediaTypeImageLayerGzip, v1.MediaTypeImageLayerZstd,
		oci.MediaTypeDockerLayer, oci.MediaTypeDockerLayerGzip, oci.MediaTypeDockerLayerZstd:
		return nil
	}
	if IsForeign(mediaType) {
		return fmt.Errorf("it has the media type %q: who made it does not want it to be passed on", mediaType)
	}
	return fmt.Errorf("it has the unknown media type %q", mediaType)
}

// IsForeign reports whether a layer is of those that are fetched from elsewhere, as
// Windows has them, and that images come without.
func IsForeign(mediaType string) bool {
	return strings.HasPrefix(mediaType, mediaTypeNondistributed) || strings.HasPrefix(mediaType, oci.MediaTypeDockerForeign)
}

// parseConfig takes from a config what the image itself needs.
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
		return fmt.Errorf("it is for the operating system %q: want \"linux\"", c.OS)
	}
	if len(c.RootFS.DiffIDs) != len(layers) {
		return fmt.Errorf("its manifest has %d layers, its config %d diff_ids", len(layers), len(c.RootFS.DiffIDs))
	}
	img.Platform = c.Platform
	if c.Created != "" {
		t, err := time.Parse(time.RFC3339Nano, c.Created)
		if err != nil {
			return fmt.Errorf("reading the config: created is %q: want a time such as 2006-01-02T15:04:05Z", c.Created)
		}
		if t.Year() > 1 { // Docker's way to say that there is none
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

// layerHistory is the history of each layer, empty where the config's does not fit.
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
