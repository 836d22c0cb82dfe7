package index

import (
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
)

// usualVariants are the default variants. Clients treat a platform with its default variant like
// the platform without a variant.
var usualVariants = map[string]string{"amd64": "v1", "arm": "v7", "arm64": "v8"}

// platform returns the platform in an image's config, in the form that clients compare. Fields that
// older configs lack are taken from the image's index if it lists the same architecture.
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

// platformName formats a platform in the usual short form.
func platformName(p v1.Platform) string {
	name := image.PlatformName(p)
	if p.OSVersion != "" {
		name += " " + p.OSVersion
	}
	return strings.Join(append([]string{name}, p.OSFeatures...), " ")
}

// platformKey returns the same key for all platforms that clients treat as equal.
func platformKey(p v1.Platform) string {
	if p.Variant == usualVariants[p.Architecture] {
		p.Variant = ""
	}
	return platformName(p)
}

// platforms maps platforms to the images in an index.
type platforms map[string]string

// add adds an image from a source and returns the name of its platform. Two images for the same
// platform are an error, because clients would choose one of them at random.
func (p platforms) add(d v1.Descriptor, source string) (name string, err error) {
	if d.Platform.Architecture == "" || d.Platform.OS == "" {
		return "", fmt.Errorf("image %q in %q: the config lacks architecture or os", d.Digest, source)
	}
	key := platformKey(*d.Platform)
	here := fmt.Sprintf("%q of %q", d.Digest, source)
	if there, taken := p[key]; taken {
		return "", fmt.Errorf("image %s and image %s are both for %s: only one image per platform is allowed", there, here, key)
	}
	p[key] = here
	return platformName(*d.Platform), nil
}
