package oci

import (
	"errors"
	"fmt"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// MaxDocument is the largest size of a config or manifest. podman and skopeo refuse larger configs
// ("exceeded maximum allowed size"), and registries refuse larger manifests.
const MaxDocument = 4 << 20 // bytes

// Layer is a finished layer of an image.
type Layer struct {
	Descriptor v1.Descriptor // media type, digest, size and annotations of the blob
	DiffID     digest.Digest // digest of the uncompressed tar; equals the blob's digest if the blob is not compressed
	History    v1.History    // the layer's history entry in the config
}

// Image is the input of Build. If Config is nil, the config is empty.
type Image struct {
	Config  *Config
	Layers  []Layer    // from the bottom up
	Created *time.Time // replaces the config's time, unless nil
	Ref     string     // the name in the index, for example localhost/app:1; can be empty
	Also    []string   // additional names
	Docker  bool       // with a Docker manifest (version 2, schema 2), which has no annotations
}

// Document is a JSON blob in an image, with its descriptor.
type Document struct {
	Descriptor v1.Descriptor
	Data       []byte
}

// Built is an image's metadata. Config and Manifest are blobs. Index is meant for
// Destination.Finish; it contains Manifest's descriptor with platform and name.
type Built struct {
	Config, Manifest Document
	Index            []byte
}

// Build builds config, manifest and index. Equal images result in the same bytes.
func (img *Image) Build() (*Built, error) {
	config := img.Config
	if config == nil {
		config = &Config{}
	}
	if err := img.check(config); err != nil {
		return nil, err
	}
	var b Built
	var err error
	configType, manifestType := v1.MediaTypeImageConfig, v1.MediaTypeImageManifest
	if img.Docker {
		configType, manifestType = MediaTypeDockerConfig, MediaTypeDockerManifest
	}
	if b.Config, err = document(configType, img.configValue(config)); err != nil {
		return nil, fmt.Errorf("building image config: %w", err)
	}
	if b.Manifest, err = document(manifestType, img.manifestValue(config, b.Config.Descriptor)); err != nil {
		return nil, fmt.Errorf("building image manifest: %w", err)
	}
	entry := b.Manifest.Descriptor
	platform := platformOf(config)
	entry.Platform = &platform
	if b.Index, err = rootIndex(entry, img.Ref, img.Also); err != nil {
		return nil, err
	}
	return &b, nil
}

// check refuses images that clients would reject or misread.
func (img *Image) check(config *Config) error {
	if config.Platform.Architecture == "" {
		return errors.New("image has no architecture")
	}
	if len(img.Layers) == 0 {
		return errors.New("image has no layers")
	}
	if err := checkNames(img.Ref, img.Also); err != nil {
		return err
	}
	if err := checkText(config.Annotations); err != nil {
		return err
	}
	if err := checkText(config.Labels); err != nil {
		return err
	}
	for i, l := range img.Layers {
		err := l.check()
		if err == nil && img.Docker {
			err = CheckDockerLayer(l.Descriptor)
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

func (l *Layer) check() error {
	if err := checkDescriptor(l.Descriptor); err != nil {
		return err
	}
	if l.Descriptor.MediaType == "" {
		return errors.New("no media type")
	}
	if err := l.DiffID.Validate(); err != nil {
		return fmt.Errorf("diffID %q: %w", l.DiffID, err)
	}
	if l.History.EmptyLayer {
		return errors.New("the history entry is marked as an empty layer")
	}
	for _, text := range []string{l.History.CreatedBy, l.History.Author, l.History.Comment} {
		if !utf8.ValidString(text) {
			return fmt.Errorf("history %q is not UTF-8", text)
		}
	}
	return checkText(l.Descriptor.Annotations)
}

// CheckDescriptor checks that the blob of a descriptor can be verified.
func CheckDescriptor(d v1.Descriptor) error {
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", d.Digest, err)
	}
	if d.Size < 0 {
		return fmt.Errorf("digest %q: size %d is negative", d.Digest, d.Size)
	}
	return nil
}

// checkDescriptor checks that this package can store the blob of a descriptor: it supports only
// SHA-256.
func checkDescriptor(d v1.Descriptor) error {
	if err := CheckDescriptor(d); err != nil {
		return err
	}
	if d.Digest.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest %q: expected sha256", d.Digest)
	}
	return nil
}

// checkText refuses text that JSON cannot express, because encoding/json would silently replace it
// with U+FFFD.
func checkText(m map[string]string) error {
	for _, key := range sortedKeys(m) {
		if key == "" {
			return fmt.Errorf("annotation or label with the value %q has no key", m[key])
		}
		if !utf8.ValidString(key) || !utf8.ValidString(m[key]) {
			return fmt.Errorf("annotation or label %q: %q is not UTF-8", key, m[key])
		}
	}
	return nil
}

func platformOf(c *Config) v1.Platform {
	p := c.Platform
	if p.OS == "" {
		p.OS = "linux"
	}
	return p
}

// configValue returns the image config as a value for encoding.
func (img *Image) configValue(c *Config) any {
	diffIDs := make([]digest.Digest, 0, len(img.Layers))
	history := make([]v1.History, 0, len(img.Layers))
	for _, l := range img.Layers {
		diffIDs = append(diffIDs, l.DiffID)
		h := l.History
		h.Created = utc(h.Created)
		history = append(history, h)
	}
	created := c.Created
	if img.Created != nil {
		created = img.Created
	}
	return struct {
		v1.Platform
		Created *time.Time   `json:"created,omitempty"`
		Author  string       `json:"author,omitempty"`
		Config  any          `json:"config"`
		RootFS  v1.RootFS    `json:"rootfs"`
		History []v1.History `json:"history"`
	}{platformOf(c), utc(created), c.Author, c.execution(), v1.RootFS{Type: "layers", DiffIDs: diffIDs}, history}
}

func (img *Image) manifestValue(c *Config, config v1.Descriptor) any {
	layers := make([]v1.Descriptor, 0, len(img.Layers))
	for _, l := range img.Layers {
		d := l.Descriptor
		if img.Docker {
			d = dockerLayer(d)
		}
		layers = append(layers, d)
	}
	if img.Docker {
		return dockerManifestValue(config, layers)
	}
	return v1.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   v1.MediaTypeImageManifest,
		Config:      config,
		Layers:      layers,
		Annotations: maps.Clone(c.Annotations),
	}
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// document encodes a value and computes its descriptor.
func document(mediaType string, value any) (Document, error) {
	data, err := canonical(value)
	if err != nil {
		return Document{}, err
	}
	if len(data) > MaxDocument {
		return Document{}, fmt.Errorf("%d bytes exceed the %d that clients read: use fewer or shorter layers, labels or annotations", len(data), MaxDocument)
	}
	return Document{
		Descriptor: v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))},
		Data:       data,
	}, nil
}
