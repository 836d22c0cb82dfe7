package image

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/interrupt"
	"chunkah/lib/oci"
)

// dockerArchive is an archive written by docker save. Its manifest.json lists the files of each
// image, without descriptors of layers. dockerArchive makes a manifest from this list.
type dockerArchive struct {
	files
	// blobs maps digests to the files of the image that Manifest selected.
	blobs map[digest.Digest]string
}

// DamageError means that an image was found but is damaged.
type DamageError struct{ Err error }

func (e *DamageError) Error() string { return e.Err.Error() }

func (e *DamageError) Unwrap() error { return e.Err }

// dockerImage is one image in manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Blob implements Fetcher.
func (a *dockerArchive) Blob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	name, found := a.blobs[d.Digest]
	if !found {
		return nil, fmt.Errorf("%q is not in the archive: %w", d.Digest, fs.ErrNotExist)
	}
	return a.open(name)
}

// Manifest implements Fetcher. A digest in ref is the digest of the config, which is the image's
// ID.
func (a *dockerArchive) Manifest(ctx context.Context, ref string) ([]byte, string, error) {
	data, err := readSmall(a, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", errors.New("not a docker save archive, or written by Docker before 1.10: manifest.json is missing")
	}
	if err != nil {
		return nil, "", err
	}
	var images []dockerImage
	if err := json.Unmarshal(data, &images); err != nil {
		return nil, "", fmt.Errorf("reading manifest.json: %w", err)
	}
	if len(images) > maxManifests {
		return nil, "", fmt.Errorf("lists %d images, above the limit of %d", len(images), maxManifests)
	}
	img, config, err := a.pick(images, ref)
	if err != nil {
		return nil, "", err
	}
	manifest, err := a.describe(ctx, img, config)
	if err != nil {
		if ctx.Err() == nil {
			err = &DamageError{err}
		}
		return nil, "", err
	}
	data, err = json.Marshal(manifest)
	return data, manifest.MediaType, err
}

// pick selects an image and reads its config.
func (a *dockerArchive) pick(images []dockerImage, ref string) (dockerImage, []byte, error) {
	name, d := cutDigest(ref)
	var tags []string
	for _, img := range images {
		tags = append(tags, img.RepoTags...)
		if d == "" && name != "" && !hasTag(img, name) {
			continue
		}
		if d == "" && name == "" && len(images) > 1 {
			continue
		}
		config, err := a.config(img)
		if err != nil {
			return img, nil, err
		}
		if d == "" || digest.FromBytes(config) == d {
			return img, config, nil
		}
	}
	switch {
	case d != "":
		return dockerImage{}, nil, fmt.Errorf("contains no image with the ID %q", d)
	case name == "":
		return dockerImage{}, nil, fmt.Errorf("contains %d images: choose one of %s", len(images), quoted(tags))
	}
	return dockerImage{}, nil, fmt.Errorf("contains no image %q, only %s", name, quoted(tags))
}

// hasTag compares names in the same way as Docker, with Docker's default tag, registry and
// repository prefix.
func hasTag(img dockerImage, name string) bool {
	return slices.ContainsFunc(img.RepoTags, func(tag string) bool { return wholeName(tag) == wholeName(name) })
}

func wholeName(name string) string {
	if !strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		name += ":latest"
	}
	return strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/")
}

// digestName matches a file name that contains its digest.
var digestName = regexp.MustCompile(`^(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?$`)

// config reads an image's config. Its file name contains its digest.
func (a *dockerArchive) config(img dockerImage) ([]byte, error) {
	name, err := cleanName(img.Config)
	if err != nil {
		return nil, fmt.Errorf("manifest.json: config %q: %w", img.Config, err)
	}
	config, err := readSmall(a, name)
	if err != nil {
		return nil, err
	}
	got := digest.FromBytes(config)
	if m := digestName.FindStringSubmatch(name); m != nil && m[1] != got.Encoded() {
		return nil, &DamageError{fmt.Errorf("reading config %q: content has the wrong digest %q", name, got)}
	}
	return config, nil
}

// describe makes the manifest that the image would have in a registry.
func (a *dockerArchive) describe(ctx context.Context, img dockerImage, config []byte) (*v1.Manifest, error) {
	if len(img.Layers) > maxLayers { // each layer might have to be read
		return nil, fmt.Errorf("has %d layers, above the limit of %d", len(img.Layers), maxLayers)
	}
	var parsed v1.Image
	if err := json.Unmarshal(config, &parsed); err != nil {
		return nil, fmt.Errorf("reading config %q: %w", img.Config, err)
	}
	if len(parsed.RootFS.DiffIDs) != len(img.Layers) {
		return nil, fmt.Errorf("%d layers in manifest.json, %d diff_ids in the config %q", len(img.Layers), len(parsed.RootFS.DiffIDs), img.Config)
	}
	m := &v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeDockerManifest, Layers: []v1.Descriptor{},
		Config: v1.Descriptor{MediaType: oci.MediaTypeDockerConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
	}
	a.blobs = map[digest.Digest]string{}
	if err := a.note(m.Config, img.Config); err != nil {
		return nil, err
	}
	for i, name := range img.Layers {
		d, err := a.layer(ctx, name, parsed.RootFS.DiffIDs[i])
		if err == nil {
			err = a.note(d, name)
		}
		if err != nil {
			return nil, fmt.Errorf("layer %d, %q: %w", i, name, err)
		}
		m.Layers = append(m.Layers, d)
	}
	return m, nil
}

func (a *dockerArchive) note(d v1.Descriptor, name string) error {
	clean, err := cleanName(name)
	a.blobs[d.Digest] = clean
	return err
}

// layer returns the descriptor of a layer. It does not have to read an uncompressed layer, which is
// the usual form in Docker archives.
func (a *dockerArchive) layer(ctx context.Context, name string, diffID digest.Digest) (v1.Descriptor, error) {
	d := v1.Descriptor{MediaType: oci.MediaTypeDockerLayer, Digest: diffID}
	clean, err := cleanName(name)
	if err != nil {
		return d, err
	}
	f, err := a.open(clean)
	if err != nil {
		return d, err
	}
	defer f.Close()
	d.Size = f.Size()
	packing, err := detect(bufio.NewReader(io.NewSectionReader(f, 0, f.Size())))
	if err != nil || packing == plain {
		return d, err
	}
	d.MediaType = oci.MediaTypeDockerLayerGzip
	h := newHasher(digest.SHA256)
	defer h.close()
	if _, err := io.Copy(h, interrupt.Reader(ctx, f)); err != nil {
		return d, err
	}
	d.Digest = h.sum()
	return d, nil
}
