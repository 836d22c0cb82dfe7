package sbom

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"strings"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// System is the distribution that os-release describes.
type System struct {
	// ID is the field ID. Version is the field VERSION_ID, or else BUILD_ID (for example
	// "rolling"). They are empty if unknown.
	ID, Version string
}

// releases lists the paths of os-release(5). The first file that exists is read.
var releases = []string{"/etc/os-release", "/usr/lib/os-release"}

// maxRelease is the largest size of os-release, in bytes.
const maxRelease = 64 << 10

// ReadSystem reads os-release. If the file does not exist, the system is unknown.
func ReadSystem(root *rootfs.Root) (s System, err error) {
	for _, path := range releases {
		at, err := root.Resolve(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return s, err
		}
		f, err := root.OpenFile(at)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, rootfs.ErrNotRegular) {
			continue
		}
		if err != nil {
			return s, err
		}
		raw, err := io.ReadAll(io.LimitReader(f, maxRelease))
		_ = f.Close() // only read
		return parseRelease(string(raw)), err
	}
	return s, nil
}

func parseRelease(text string) (s System) {
	build := ""
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		if len(value) > format.MaxName {
			continue
		}
		switch key {
		case "ID":
			s.ID = value
		case "VERSION_ID":
			s.Version = value
		case "BUILD_ID":
			build = value
		}
	}
	s.Version = cmp.Or(s.Version, build)
	return s
}

// distro returns the distro qualifier of package URLs.
func (s System) distro() string {
	if s.Version == "" {
		return s.ID
	}
	return s.ID + "-" + s.Version
}
