package oci

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// labelFinalDiffID names the last layer of an ostree commit. bootc and rpm-ostree look
// for it among the diffIDs, and end where it is not there.
const labelFinalDiffID = "ostree.final-diffid"

// aboutLayers are labels and annotations that speak of the layers of the image that has
// them, or of what these were made of. With other layers they are wrong, and some break
// the image. A name that ends in a dot stands for all that begin with it.
var aboutLayers = []string{
	"ostree.commit", labelFinalDiffID, "ostree.diffid", "ostree.layers.", "ostree.manifest-digest", "rpmostree.inputhash",
	"containers.composefs.fsverity", "dev.hhd.rechunk.info", "io.buildah.version", "org.opencontainers.image.base.digest",
}

func isAboutLayers(name string) bool {
	return slices.ContainsFunc(aboutLayers, func(known string) bool {
		return name == known || strings.HasSuffix(known, ".") && strings.HasPrefix(name, known)
	})
}

// AboutLayers are the labels and annotations that speak of the layers of the image that
// the config is from, in order, without those of keep. There are none where the last
// layer that they speak of is one of kept, which the new image has too.
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

// Drop removes labels and annotations. The maps that the config had stay as they are.
func (c *Config) Drop(names []string) {
	c.Labels, c.Annotations = maps.Clone(c.Labels), maps.Clone(c.Annotations)
	for _, name := range names {
		delete(c.Labels, name)
		delete(c.Annotations, name)
	}
}

// Unmatched reports the layer that the config's ostree labels speak of, and whether it
// is none of the image's: such an image can be neither installed nor switched to.
func (c *Config) Unmatched(diffIDs []digest.Digest) (string, bool) {
	last := c.Labels[labelFinalDiffID]
	return last, last != "" && !slices.Contains(diffIDs, digest.Digest(last))
}
