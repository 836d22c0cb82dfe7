package oci

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// archNames lists the architectures of Linux images, with their variants, named as in GOARCH.
var archNames = map[string][]string{
	"386": nil, "amd64": {"v1", "v2", "v3", "v4"}, "arm": {"v5", "v6", "v7", "v8"}, "arm64": {"v8", "v9"},
	"loong64": nil, "mips": nil, "mipsle": nil, "mips64": nil, "mips64le": nil, "ppc64": nil, "ppc64le": nil,
	"riscv64": nil, "s390x": nil,
}

// archAliases maps the names that kernels, distributions and container tools use to those in
// archNames.
var archAliases = map[string]string{
	"x86_64": "amd64", "x86-64": "amd64", "x64": "amd64",
	"i386": "386", "i486": "386", "i586": "386", "i686": "386", "x86": "386",
	"aarch64": "arm64", "arm64v8": "arm64/v8", "armv8": "arm64", "armv8l": "arm64",
	"armhf": "arm/v7", "armhfp": "arm/v7", "armv7": "arm/v7", "armv7l": "arm/v7", "armv7hl": "arm/v7", "arm32v7": "arm/v7",
	"armv6": "arm/v6", "armv6l": "arm/v6", "armv6hl": "arm/v6", "arm32v6": "arm/v6",
	"armel": "arm/v5", "armv5": "arm/v5", "armv5l": "arm/v5", "armv5tel": "arm/v5", "arm32v5": "arm/v5",
	"ppc64el": "ppc64le", "powerpc64le": "ppc64le",
	"powerpc64":   "ppc64le", // as in the Rust chunkah, because no distribution publishes big-endian images
	"loongarch64": "loong64", "mipsel": "mipsle", "mips64el": "mips64le",
}

// ParseArch parses the name of an architecture: a GOARCH name, a name with a variant ("arm/v7"), a
// platform ("linux/arm64/v8"), or a common alias ("x86_64", "aarch64", "armhf").
func ParseArch(s string) (arch, variant string, err error) {
	name := strings.TrimPrefix(strings.ToLower(s), "linux/")
	if alias, ok := archAliases[name]; ok {
		name = alias
	}
	arch, variant, found := strings.Cut(name, "/")
	variants, ok := archNames[arch]
	if !ok {
		return "", "", fmt.Errorf("unknown architecture %q: expected one of %s, or a common alias", s, strings.Join(sortedKeys(archNames), ", "))
	}
	if found && !slices.Contains(variants, variant) {
		return "", "", fmt.Errorf("unknown variant %q in architecture %q", variant, s)
	}
	return arch, variant, nil
}

// HostArch is the architecture for which this program was built. It is the default for images.
func HostArch() string { return runtime.GOARCH }

// SetArch sets the architecture s. If s is the same architecture without a variant, the config's
// variant is kept.
func (c *Config) SetArch(s string) error {
	arch, variant, err := ParseArch(s)
	if err != nil {
		return err
	}
	if variant != "" || arch != c.Platform.Architecture {
		c.Platform.Variant = variant
	}
	c.Platform.Architecture = arch
	return nil
}
