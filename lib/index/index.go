// Package index joins finished images of several platforms into one image index,
// from which each client takes the image of its own. Manifests, configs and layers
// are copied byte for byte, and verified on their way; what images share is copied
// once. The same sources in the same order give the same bytes.
package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/oci"
)

// Options say what index to write and where.
type Options struct {
	// Create makes the destination, once it is known that the images go together.
	Create func() (oci.Destination, error)
	// Ref names the index in the destination; empty for no name.
	Ref string
	// Also are further names.
	Also []string
	// Annotations are those of the index.
	Annotations map[string]string
}

// Report says what was written.
type Report struct {
	Digest    string
	Platforms []string
	Manifests int   // one for each platform, and artifacts
	Bytes     int64 // that were copied
}

// Join writes the index of all that the sources hold, in their order.
func Join(ctx context.Context, sources []*image.Listing, opt Options) (report *Report, err error) {
	j := &joiner{sources: sources, report: &Report{}}
	index := oci.Index{Annotations: opt.Annotations, Ref: opt.Ref, Also: opt.Also}
	if index.Manifests, err = j.describe(); err != nil {
		return nil, err
	}
	doc, root, err := index.Build()
	if err != nil {
		return nil, err
	}
	if j.dest, err = opt.Create(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.dest.Discard())
		}
	}()
	if err := j.copy(ctx); err != nil {
		return nil, err
	}
	if err := j.dest.Blob(doc.Descriptor, "", oci.Data(doc.Data)); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := j.dest.Finish(root); err != nil {
		return nil, err
	}
	j.report.Digest = doc.Descriptor.Digest.String()
	return j.report, j.dest.Commit()
}

type joiner struct {
	sources []*image.Listing
	dest    oci.Destination
	report  *Report
}

// describe makes the descriptors of the index, and makes sure that no two images
// are for one platform: which one a client takes would be up to it.
func (j *joiner) describe() ([]v1.Descriptor, error) {
	var manifests []v1.Descriptor
	from := make(map[string]string) // sources by platform
	for _, src := range j.sources {
		for _, e := range src.Entries {
			d := descriptor(e)
			manifests = append(manifests, d)
			if e.Artifact {
				continue
			}
			if d.Platform.Architecture == "" || d.Platform.OS == "" {
				return nil, fmt.Errorf("image %q of %q has a config without architecture or os", d.Digest, src.Source)
			}
			name, key := platformName(*d.Platform), platformKey(*d.Platform)
			here := fmt.Sprintf("%q of %q", d.Digest, src.Source)
			if there, taken := from[key]; taken {
				return nil, fmt.Errorf("image %s and image %s are both for %s: one image a platform", there, here, key)
			}
			from[key] = here
			j.report.Platforms = append(j.report.Platforms, name)
		}
	}
	j.report.Manifests = len(manifests)
	return manifests, nil
}

// namesOf are the annotations that name an image in the store that it was in.
var namesOf = []string{v1.AnnotationRefName, oci.AnnotationContainerdName}

// descriptor is what the index says of a manifest. The name that it had elsewhere
// is not its name here.
func descriptor(e image.Entry) v1.Descriptor {
	was := e.Manifest.Descriptor
	d := v1.Descriptor{MediaType: was.MediaType, Digest: was.Digest, Size: was.Size, Platform: was.Platform, ArtifactType: was.ArtifactType}
	if annotations := maps.Clone(was.Annotations); annotations != nil {
		for _, key := range namesOf {
			delete(annotations, key)
		}
		d.Annotations = annotations
	}
	if !e.Artifact {
		p := platform(e.Platform, was.Platform)
		d.Platform = &p
	}
	return d
}

// copy writes the blobs of all images, and after those its manifest.
func (j *joiner) copy(ctx context.Context) error {
	for _, src := range j.sources {
		for _, e := range src.Entries {
			for _, d := range e.Blobs {
				if err := j.copyBlob(ctx, src, d); err != nil {
					return fmt.Errorf("copying %q from %q: %w", d.Digest, src.Source, err)
				}
			}
			if err := j.dest.Blob(e.Manifest.Descriptor, "", oci.Data(e.Manifest.Data)); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyBlob writes a blob, which the destination verifies. A destination may ask for
// it again, from its start.
func (j *joiner) copyBlob(ctx context.Context, src *image.Listing, d v1.Descriptor) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return j.dest.Blob(d, src.Source.InRegistry(), func(w io.Writer) error {
		in, err := src.Blob(ctx, d)
		if err != nil {
			return err
		}
		defer in.Close()
		n, err := io.Copy(w, interrupt.Reader(ctx, in))
		j.report.Bytes += n
		return err
	})
}
