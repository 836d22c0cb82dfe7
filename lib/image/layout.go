package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// layout is an OCI layout in a directory or an archive.
type layout struct{ files }

// blobPath returns the path of a blob in a layout.
func blobPath(d digest.Digest) string {
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

// Blob implements Fetcher.
func (l layout) Blob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if err := oci.CheckDescriptor(d); err != nil {
		return nil, err
	}
	f, err := l.open(blobPath(d.Digest))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Manifest implements Fetcher. It returns an index of the images named ref, or of all images if ref
// is empty.
func (l layout) Manifest(_ context.Context, ref string) ([]byte, string, error) {
	name, d := cutDigest(ref)
	if d != "" {
		if err := l.version(); err != nil {
			return nil, "", err
		}
		data, err := readSmall(l, blobPath(d))
		return data, "", err
	}
	index, err := l.index()
	if err != nil {
		return nil, "", err
	}
	var picked []v1.Descriptor
	for _, m := range index.Manifests {
		if name == "" || hasName(m, name) {
			picked = append(picked, m)
		}
	}
	several := len(names(picked)) > 1
	if several && isOne(picked) {
		picked, several = picked[:1], false
	}
	if name == "" && several {
		return nil, "", fmt.Errorf("contains several images: choose one of %s", quoted(names(picked)))
	}
	if len(picked) == 0 {
		return nil, "", fmt.Errorf("contains no image %q, only %s", name, quoted(names(index.Manifests)))
	}
	data, err := json.Marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: picked,
	})
	return data, v1.MediaTypeImageIndex, err
}

// isOne reports whether all entries in a list describe the same image.
func isOne(list []v1.Descriptor) bool {
	return !slices.ContainsFunc(list, func(d v1.Descriptor) bool { return d.Digest != list[0].Digest })
}

// version checks that the files are an OCI layout.
func (l layout) version() error {
	data, err := readSmall(l, v1.ImageLayoutFile)
	if errors.Is(err, fs.ErrNotExist) {
		hint := ""
		if _, err := readSmall(l, "manifest.json"); err == nil {
			hint = "; for a docker save archive, use docker-archive:FILE"
		} else if _, is := l.files.(*archive); is {
			hint = "; for a tar of a root file system, use tar:FILE"
		}
		return fmt.Errorf("not an OCI layout: no %q%s", v1.ImageLayoutFile, hint)
	}
	if err != nil {
		return err
	}
	return oci.CheckLayoutFile(data)
}

// Index implements Indexed.
func (l layout) Index() ([]byte, error) {
	if err := l.version(); err != nil {
		return nil, err
	}
	return readSmall(l, v1.ImageIndexFile)
}

func (l layout) index() (*v1.Index, error) {
	data, err := l.Index()
	if err != nil {
		return nil, err
	}
	var index v1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("reading %q: %w", v1.ImageIndexFile, err)
	}
	return &index, nil
}

// nameOf returns the name of an image in an index, or "" if it has no name.
func nameOf(d v1.Descriptor) string {
	if name := d.Annotations[v1.AnnotationRefName]; name != "" {
		return name
	}
	return d.Annotations[oci.AnnotationContainerdName]
}

func hasName(d v1.Descriptor, name string) bool {
	return d.Annotations[v1.AnnotationRefName] == name || d.Annotations[oci.AnnotationContainerdName] == name
}

// names returns the names of the images, sorted and without duplicates.
func names(list []v1.Descriptor) []string {
	var all []string
	for _, d := range list {
		all = append(all, nameOf(d))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// maxQuoted is the largest number of names in an error message.
const maxQuoted = 20

// quoted formats names for an error message.
func quoted(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, name := range list[:min(len(list), maxQuoted)] {
		if i > 0 {
			b.WriteString(", ")
		}
		if name == "" {
			b.WriteString("an image without a name")
		} else {
			fmt.Fprintf(&b, "%q", name)
		}
	}
	if len(list) > maxQuoted {
		b.WriteString(", …")
	}
	return b.String()
}
