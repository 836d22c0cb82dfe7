package index

import (
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
)

// usualVariants go without saying: clients take an image with them and one without
// for the same.
var usualVariants = map[string]string{"amd64": "v1", "arm": "v7", "arm64": "v8"}

// platform is that of an image's config, in the words that clients compare. What a
// config leaves open, since older ones have no fields for it, is taken from the index
// that the image was in, if that is about the same architecture.
func platform(config v1.Platform, listed *v1.Platform) v1.Platform {
	p := config
	if arch, variant, err := oci.ParseArch(p.Architecture); err == nil {
		p.Architecture = arch
		if p.Variant == "" {
			p.Variant = variant
		}
	}
	if listed == nil || listed.OS != p.OS || listed.Architecture != p.Architecture {
		return p
	}
	if p.Variant == "" {
		p.Variant = listed.Variant
	}
	if p.OSVersion == "" {
		p.OSVersion = listed.OSVersion
	}
	if len(p.OSFeatures) == 0 {
		p.OSFeatures = listed.OSFeatures
	}
	return p
}

// platformName is a platform as people write it.
func platformName(p v1.Platform) string {
	name := image.PlatformName(p)
	if p.OSVersion != "" {
		name += " " + p.OSVersion
	}
	return strings.Join(append([]string{name}, p.OSFeatures...), " ")
}

// platformKey is the same for platforms that clients take for the same.
func platformKey(p v1.Platform) string {
	if p.Variant == usualVariants[p.Architecture] {
		p.Variant = ""
	}
	return platformName(p)
}
