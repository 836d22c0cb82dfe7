package image

import (
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// platform is the platform for which an image is selected.
type platform struct{ arch, variant string }

// platform returns the platform to select.
func (o Options) platform() (platform, error) {
	switch {
	case o.Platform != "":
		arch, variant, err := oci.ParseArch(o.Platform)
		return platform{arch, variant}, err
	case o.Like != nil && o.Like.Architecture != "":
		return platformOf(*o.Like), nil
	}
	return platform{arch: oci.HostArch()}, nil
}

// platformOf returns an image's platform with the usual name of its architecture.
func platformOf(have v1.Platform) platform {
	p := platform{have.Architecture, have.Variant}
	if name, implied, err := oci.ParseArch(p.arch); err == nil {
		p.arch = name
		if p.variant == "" {
			p.variant = implied
		}
	}
	return p
}

// rank returns how well an image's platform matches. 0 means that it does not match. The newest
// variant that is not newer than the selected variant matches best.
func (p platform) rank(have v1.Platform) int {
	is := platformOf(have)
	if is.arch != p.arch || have.OS != "" && have.OS != "linux" {
		return 0
	}
	got, want := variantNumber(is.arch, is.variant), variantNumber(is.arch, p.variant)
	if got > want {
		return 0
	}
	return 1 + got
}

// variantNumber returns the number in a variant's name, or the default variant of the architecture.
func variantNumber(arch, variant string) int {
	if n, err := strconv.Atoi(strings.TrimPrefix(variant, "v")); err == nil && n > 0 && n < 100 {
		return n
	}
	switch arch {
	case "arm":
		return 7
	case "arm64":
		return 8
	}
	return 1
}

// Fits reports whether an image's platform matches the platform that a user gave, for example
// linux/arm64/v8. An empty platform matches every image.
func Fits(wanted string, have v1.Platform) (bool, error) {
	want, err := Options{Platform: wanted}.platform()
	return wanted == "" || err == nil && want.rank(have) > 0, err
}

// PlatformNames lists the platforms of manifests in an index, or their digests if the index
// contains no platforms.
func PlatformNames(list []v1.Descriptor) string {
	var all []string
	for _, d := range list {
		if d.Platform == nil {
			all = append(all, d.Digest.String())
		} else {
			all = append(all, PlatformName(*d.Platform))
		}
	}
	return quoted(all)
}

// PlatformName formats a platform in the usual notation.
func PlatformName(p v1.Platform) string {
	name := p.OS
	if name == "" {
		name = "linux"
	}
	name += "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name
}
