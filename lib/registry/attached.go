package registry

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// cosignTags are the suffixes of the tags under which cosign before version 3 stores data about an
// image: sha256-HEX.sig and so on.
var cosignTags = []struct{ suffix, kind string }{
	{".sig", "signature"}, {".att", "attestation"}, {".sbom", "SBOM"},
}

// Attached returns the sorted types of the documents that are attached to an image of the
// repository, as referrers or through cosign's tags. If the registry does not respond, Attached
// assumes that nothing is attached.
func (r *Repository) Attached(ctx context.Context, subject digest.Digest) (kinds []string) {
	for _, d := range r.referrers(ctx, subject) {
		kind := d.ArtifactType
		if kind == "" {
			kind = "other"
		}
		kinds = append(kinds, kind)
	}
	for _, tag := range cosignTags {
		resp, err := r.send(ctx, request{
			method: http.MethodHead, url: r.url("manifests", fallbackTag(subject)+tag.suffix), scopes: r.pull(),
			header: http.Header{"Accept": {v1.MediaTypeImageManifest}},
		}, http.StatusOK)
		if err == nil {
			drop(resp)
			kinds = append(kinds, tag.kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// referrers lists the referrers of a manifest. It uses the API, or else the fallback tag.
func (r *Repository) referrers(ctx context.Context, subject digest.Digest) []v1.Descriptor {
	resp, err := r.send(ctx, request{
		method: http.MethodGet, url: r.url("referrers", subject.String()), scopes: r.pull(), header: http.Header{"Accept": {v1.MediaTypeImageIndex}},
	}, http.StatusOK)
	var index v1.Index
	if err == nil {
		defer drop(resp)
		data, err := readDocument(resp, oci.MaxDocument)
		if err == nil && json.Unmarshal(data, &index) == nil {
			return index.Manifests
		}
	}
	if index, _, err = r.fallback(ctx, subject); err != nil {
		return nil
	}
	return index.Manifests
}
