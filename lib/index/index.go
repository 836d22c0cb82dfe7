// Package index combines images for several platforms into one index. Manifests, configs and layers
// are verified and copied byte for byte. Shared blobs are copied once. The same sources in the same
// order produce the same bytes.
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

// Options configure what is written, and where.
type Options struct {
	// Create opens the destination. It is called after the images have been checked.
	Create func() (oci.Destination, error)
	// Ref is the name of the index in the destination. It can be empty.
	Ref string
	// Also are additional names.
	Also []string
	// Annotations are the annotations of the index.
	Annotations map[string]string
}

// Report describes the result.
type Report struct {
	Digest    string
	Platforms []string
	Manifests int   // one per platform, plus artifacts
	Bytes     int64 // copied bytes
}

// Join writes the index of everything in the sources, in their order.
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
	j.report.Digest = doc.Descriptor.Digest.String()
	return j.report, finish(ctx, j.dest, doc, root)
}

// finish writes the index and makes it visible.
func finish(ctx context.Context, dest oci.Destination, index oci.Document, root []byte) error {
	if err := dest.Blob(index.Descriptor, oci.Hint{}, oci.Data(index.Data)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, err := dest.Finish(root); err != nil {
		return err
	}
	return dest.Commit()
}

type joiner struct {
	sources []*image.Listing
	dest    oci.Destination
	report  *Report
}

// describe returns the descriptors for the index. Two images for the same platform are an error,
// because clients would choose one of them at random.
func (j *joiner) describe() ([]v1.Descriptor, error) {
	var manifests []v1.Descriptor
	from := platforms{}
	for _, src := range j.sources {
		for _, e := range src.Entries {
			d := descriptor(e)
			manifests = append(manifests, d)
			if e.Artifact {
				continue
			}
			name, err := from.add(d, src.Source.String())
			if err != nil {
				return nil, err
			}
			j.report.Platforms = append(j.report.Platforms, name)
		}
	}
	j.report.Manifests = len(manifests)
	return manifests, nil
}

// nameAnnotations are the annotations that contain an image's name in its old store.
var nameAnnotations = []string{v1.AnnotationRefName, oci.AnnotationContainerdName}

// descriptor returns the index entry for a manifest, without the manifest's old name.
func descriptor(e image.Entry) v1.Descriptor {
	was := e.Manifest.Descriptor
	d := v1.Descriptor{MediaType: was.MediaType, Digest: was.Digest, Size: was.Size, Platform: was.Platform, ArtifactType: was.ArtifactType}
	if annotations := maps.Clone(was.Annotations); annotations != nil {
		for _, key := range nameAnnotations {
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

// copy writes each image, first its blobs and then its manifest.
func (j *joiner) copy(ctx context.Context) error {
	for _, src := range j.sources {
		for _, e := range src.Entries {
			for _, d := range e.Blobs {
				if err := j.copyBlob(ctx, src, d); err != nil {
					return fmt.Errorf("copying %q from %q: %w", d.Digest, src.Source, err)
				}
			}
			if err := j.dest.Blob(e.Manifest.Descriptor, oci.Hint{}, oci.Data(e.Manifest.Data)); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyBlob writes a blob, which the destination verifies. The destination can read the blob again
// from the start.
func (j *joiner) copyBlob(ctx context.Context, src *image.Listing, d v1.Descriptor) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return j.dest.Blob(d, oci.Hint{Image: src.Source.InRegistry()}, func(w io.Writer) error {
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
