package oci

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// labelFinalDiffID names the last layer of an ostree commit. bootc and rpm-ostree look for it among
// the diffIDs, and fail if it is missing.
const labelFinalDiffID = "ostree.final-diffid"

// aboutLayers are labels and annotations that describe the image's layers, or the source of the
// layers. They are wrong for other layers, and some break the image. A name that ends in a dot is a
// prefix.
var aboutLayers = []string{
	"ostree.commit", labelFinalDiffID, "ostree.diffid", "ostree.layers.", "ostree.manifest-digest", "rpmostree.inputhash",
	"containers.composefs.fsverity", "dev.hhd.rechunk.info", "io.buildah.version", "org.opencontainers.image.base.digest",
}

func isAboutLayers(name string) bool {
	return slices.ContainsFunc(aboutLayers, func(known string) bool {
		return name == known || strings.HasSuffix(known, ".") && strings.HasPrefix(name, known)
	})
}

// AboutLayers returns, in order, the labels and annotations that describe the layers of the
// config's image, without those in keep. It returns none if the last of these layers is in kept, so
// that the new image has it too.
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

// Drop removes labels and annotations from copies of the config's maps.
func (c *Config) Drop(names []string) {
	c.Labels, c.Annotations = maps.Clone(c.Labels), maps.Clone(c.Annotations)
	for _, name := range names {
		delete(c.Labels, name)
		delete(c.Annotations, name)
	}
}

// Unmatched returns the layer in the config's ostree labels, and whether the image lacks it: such
// an image can neither be installed nor switched to.
func (c *Config) Unmatched(diffIDs []digest.Digest) (string, bool) {
	last := c.Labels[labelFinalDiffID]
	return last, last != "" && !slices.Contains(diffIDs, digest.Digest(last))
}
