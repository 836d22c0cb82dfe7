package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// dockerManifestFile lists the images in a Docker archive. The Docker daemon and the
// docker-archive: transport of podman and skopeo read it.
const dockerManifestFile = "manifest.json"

// DockerArchive is an archive for `docker load`. It is an OCI archive with an additional
// manifest.json at its end, like the archives that `docker save` writes since Docker 25. Older
// daemons read only manifest.json and accept any file names in it. Podman, and daemons that store
// images in containerd, read index.json and so also get media types and annotations.
type DockerArchive struct {
	*Archive
	manifests map[digest.Digest][]byte
}

var _ Destination = (*DockerArchive)(nil)

// NewDockerArchive turns an archive that is still empty into a Docker archive.
func NewDockerArchive(a *Archive) *DockerArchive {
	return &DockerArchive{Archive: a, manifests: map[digest.Digest][]byte{}}
}

// Blob implements Destination. It keeps manifests for Finish.
func (a *DockerArchive) Blob(d v1.Descriptor, hint Hint, write func(io.Writer) error) error {
	if d.MediaType != v1.MediaTypeImageManifest || d.Size > MaxDocument {
		return a.Archive.Blob(d, hint, write)
	}
	var manifest bytes.Buffer
	err := a.Archive.Blob(d, hint, func(w io.Writer) error { return write(io.MultiWriter(w, &manifest)) })
	if err == nil && manifest.Len() > 0 {
		a.manifests[d.Digest] = manifest.Bytes()
	}
	return err
}

// Finish implements Destination. The index must contain exactly one image.
func (a *DockerArchive) Finish(index []byte) ([]Finished, error) {
	var manifest []byte
	err := a.do(func() (err error) {
		var item dockerImage
		if index, item, err = a.translate(index); err != nil {
			return err
		}
		manifest, err = canonical([]dockerImage{item})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, a.Discard())
	}
	return a.finish(index, fileEntry{dockerManifestFile, manifest})
}

// dockerImage is an image in manifest.json: its names, and the paths of its files in the archive.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// translate returns the image's entry for manifest.json, and the index with the image's full name.
// A daemon that uses containerd does not expand short names, and would not find an image with the
// name "app:1".
func (a *DockerArchive) translate(data []byte) ([]byte, dockerImage, error) {
	var index v1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, dockerImage{}, fmt.Errorf("parsing the new index: %w", err)
	}
	names := map[string]bool{}
	for _, entry := range index.Manifests {
		if entry.Digest == index.Manifests[0].Digest {
			names[entry.Annotations[annotationRefName]] = true
		}
	}
	if n := len(index.Manifests); n == 0 || len(names) != n { // one image has one entry per name
		return nil, dockerImage{}, fmt.Errorf("a docker archive can contain only one image, but %d were given: use oci-archive:PATH", n)
	}
	image, err := a.image(index.Manifests[0].Digest)
	if err != nil {
		return nil, dockerImage{}, err
	}
	for _, entry := range index.Manifests {
		ref := entry.Annotations[annotationRefName]
		if ref == "" {
			return data, image, nil
		}
		if err := CheckTag(ref); err != nil {
			return nil, dockerImage{}, err
		}
		image.RepoTags = append(image.RepoTags, tagged(ref))
		entry.Annotations[AnnotationContainerdName] = dockerName(ref)
	}
	data, err = canonical(index)
	return data, image, err
}

// image returns the manifest.json entry of an image whose manifest was already written.
func (a *DockerArchive) image(manifest digest.Digest) (dockerImage, error) {
	image := dockerImage{RepoTags: []string{}, Layers: []string{}}
	data := a.manifests[manifest]
	if data == nil {
		return image, fmt.Errorf("a docker archive can contain only an image for one platform, but %q is not an image manifest: use oci-archive:PATH", manifest)
	}
	var m v1.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return image, fmt.Errorf("parsing the new manifest: %w", err)
	}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if _, ok := a.blobs[d.Digest]; !ok {
			return image, fmt.Errorf("the blob %q has not been written", d.Digest)
		}
		if err := CheckDockerLayer(d); err != nil {
			return image, err
		}
		image.Layers = append(image.Layers, blobName(d.Digest))
	}
	image.Config, image.Layers = image.Layers[0], image.Layers[1:]
	return image, nil
}

// CheckDockerLayer refuses a layer that a Docker archive cannot contain.
func CheckDockerLayer(d v1.Descriptor) error {
	if strings.HasSuffix(d.MediaType, "zstd") {
		return fmt.Errorf("layer %q is compressed with zstd, which docker load reads only since Docker 23: use gzip", d.Digest)
	}
	return nil
}

// dockerLayer returns a layer's descriptor for a Docker manifest.
func dockerLayer(d v1.Descriptor) v1.Descriptor {
	if d.MediaType == v1.MediaTypeImageLayer {
		d.MediaType = MediaTypeDockerLayer
	} else if strings.HasSuffix(d.MediaType, "gzip") {
		d.MediaType = MediaTypeDockerLayerGzip
	}
	d.Annotations = nil
	return d
}

// dockerName returns the full form of a name that Docker allows users to shorten: "app" becomes
// docker.io/library/app:latest.
func dockerName(ref string) string {
	name := tagged(ref)
	if domain, _ := cutDomain(name); domain != "" {
		return name
	}
	if !strings.Contains(name, "/") {
		name = "library/" + name
	}
	return "docker.io/" + name
}
