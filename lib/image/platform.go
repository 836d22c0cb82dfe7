package image

import (
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// platform is one that an image is wanted for.
type platform struct{ arch, variant string }

// parsePlatform reads what a user names; this machine's where that is nothing.
func parsePlatform(s string) (platform, error) {
	if s == "" {
		return platform{arch: oci.HostArch()}, nil
	}
	arch, variant, err := oci.ParseArch(s)
	return platform{arch, variant}, err
}

// rank says how well an image's platform fits: 0 is not at all. Of the variants
// that are no newer than the one that is wanted, the newest fits best.
func (p platform) rank(have v1.Platform) int {
	arch, variant := have.Architecture, have.Variant
	if name, implied, err := oci.ParseArch(arch); err == nil {
		arch = name
		if variant == "" {
			variant = implied
		}
	}
	if arch != p.arch || have.OS != "" && have.OS != "linux" {
		return 0
	}
	got, want := variantNumber(arch, variant), variantNumber(arch, p.variant)
	if got > want {
		return 0
	}
	return 1 + got
}

// variantNumber is the number in a variant's name; each architecture has one that
// goes without saying.
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

// platformName is how people write a platform.
func platformName(p v1.Platform) string {
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
