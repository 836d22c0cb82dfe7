package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/registry"
	"chunkah/lib/sbom"
	"chunkah/lib/source"
	"chunkah/lib/transport"
)

// attachTarget parses the name of the image to which a document is attached.
func attachTarget(option, name string) (image.Location, error) {
	src, err := transport.ParseSource(name)
	if err != nil {
		return src, &usageError{err}
	}
	if src.InRegistry() == "" {
		return src, usagef("%s %q: expected docker://REF, an image in a registry", option, name)
	}
	return src, nil
}

// warnAttached lists the signatures, SBOMs and attestations of a source in a registry. They refer
// to the digest of the source, and the new image has a different digest.
func (c *buildCommand) warnAttached(ctx context.Context, env *Env, set *source.Set) {
	if len(c.From) != 1 || set.Image == nil {
		return
	}
	repo := set.Image.Repository()
	if repo == nil {
		return
	}
	if kinds := repo.Attached(ctx, set.Image.Manifest.Descriptor.Digest); len(kinds) > 0 {
		env.warn("not copied, because these documents refer to the source image's digest: %s", strings.Join(kinds, ", "))
	}
}

// attach uploads an SBOM to the repository of the image at a location. The SBOM becomes a referrer
// of the image that it describes. An SBOM without a digest becomes a referrer of the image at that
// location.
func (f *imageFlags) attach(ctx context.Context, env *Env, at image.Location, doc *sbom.Document, form sbom.Format, data []byte) error {
	repo, err := transport.Repository(at.InRegistry(), f.registryOptions(env))
	if err != nil {
		return err
	}
	ref := repo.Ref()
	raw, mediaType, err := repo.Manifest(ctx, cmp.Or(doc.Subject.Digest.String(), ref.Identifier()))
	if err != nil {
		return fmt.Errorf("finding the image that the bill of materials describes: %w", err)
	}
	if mediaType == v1.MediaTypeImageIndex || mediaType == oci.MediaTypeDockerIndex {
		return fmt.Errorf("%q is an index of several images: use docker://%s as SOURCE, and choose one image with --platform", at, ref)
	}
	subject := v1.Descriptor{MediaType: cmp.Or(mediaType, v1.MediaTypeImageManifest), Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	made, err := repo.Attach(ctx, subject, registry.Attachment{Type: form.MediaType, Title: form.File, Data: data})
	if err != nil {
		return err
	}
	env.info("attached bill of materials %s to %s", made.Digest, subject.Digest)
	return nil
}
