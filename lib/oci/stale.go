package oci

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// labelFinalDiffID contains the diffID of the last layer of an ostree commit. bootc and rpm-ostree
// look for it among the image's diffIDs, and fail if it is missing.
const labelFinalDiffID = "ostree.final-diffid"

// aboutLayers lists labels and annotations that describe the image's layers or their source. They
// are wrong for other layers, and some break the image. A name that ends with a dot is a prefix.
var aboutLayers = []string{
	"ostree.commit", labelFinalDiffID, "ostree.diffid", "ostree.layers.", "ostree.manifest-digest", "rpmostree.inputhash",
	"containers.composefs.fsverity", "dev.hhd.rechunk.info", "io.buildah.version", "org.opencontainers.image.base.digest",
}

func isAboutLayers(name string) bool {
	return slices.ContainsFunc(aboutLayers, func(known string) bool {
		return name == known || strings.HasSuffix(known, ".") && strings.HasPrefix(name, known)
	})
}

// AboutLayers returns a sorted list of the labels and annotations that describe the layers of the
// image that the config comes from, except those in keep. It returns none if kept contains the last
// of these layers, because the new image then contains that layer too.
func (c *Config) AboutLayers(keep []string, kept []digest.Digest) []string {
	if last := c.Labels[labelFinalDiffID]; slices.Contains(kept, digest.Digest(last)) || last == "" && len(kept) > 0 {
		return nil
	}
	var names []string
	for _, set := range []map[string]string{c.Labels, c.Annotations} {
		for name := range set {
			if isAboutLayers(name) && !slices.Contains(keep, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Drop removes labels and annotations. It copies the config's maps first.
func (c *Config) Drop(names []string) {
	c.Labels, c.Annotations = maps.Clone(c.Labels), maps.Clone(c.Annotations)
	for _, name := range names {
		delete(c.Labels, name)
		delete(c.Annotations, name)
	}
}

// Unmatched returns the layer that the config's ostree labels refer to, and whether the image does
// not contain it. Such an image cannot be installed, and no system can switch to it.
func (c *Config) Unmatched(diffIDs []digest.Digest) (string, bool) {
	last := c.Labels[labelFinalDiffID]
	return last, last != "" && !slices.Contains(diffIDs, digest.Digest(last))
}
