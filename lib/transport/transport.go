// Package transport lists the transports of sources and destinations, and parses their names. Each
// transport is one file here and one line in All. The fields of image.Transport describe how
// transports differ.
package transport

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/image"
)

// All lists the transports, in the order in which help texts list them.
var All = []*image.Transport{Directory, RootTar, Layout, Archive, DockerArchive, Storage, Daemon, Registry}

// foreign lists transports of other tools.
var foreign = []string{"atomic", "ostree", "registry", "sif", "tarball"}

// instead contains the commands that replace a transport of another tool. %s stands for the rest of
// the name.
var instead = map[string]string{"dir": "; for skopeo's dir: write oci:DIR, then run skopeo copy oci:DIR dir:%s"}

// side describes the names of sources or the names of destinations.
type side struct {
	name  string
	plain *image.Transport // for a path without a transport
	file  string           // what such a path refers to
	ways  string           // other valid forms, for messages
	takes func(*image.Transport) bool
	// instead contains hints for transports that cannot be used.
	instead map[string]string
}

var (
	sources      = side{"source", Directory, "directory", ", or the plain PATH of a directory", (*image.Transport).IsSource, nil}
	destinations = side{"destination", Archive, "file", ", a plain PATH, or - for standard output", (*image.Transport).IsDestination, instead}
)

// Forms lists the valid forms of names for the selected transports, for example for the transports
// with Transport.IsImage.
func Forms(some func(*image.Transport) bool) []string {
	return texts(some, func(t *image.Transport) string { return t.Form })
}

// Prefixes returns the prefixes of all transports.
func Prefixes() []string {
	return texts((*image.Transport).IsSource, func(t *image.Transport) string { return t.Prefix })
}

// Purposes returns the purposes of all destinations.
func Purposes() []string {
	return texts((*image.Transport).IsDestination, func(t *image.Transport) string { return t.Form + " " + t.Purpose })
}

func texts(some func(*image.Transport) bool, text func(*image.Transport) string) (list []string) {
	for _, t := range All {
		if some(t) {
			list = append(list, text(t))
		}
	}
	return list
}

// ParseSource parses the name of a source. A name without a transport is the path of a directory.
// Such a path can contain colons after a slash, as in ./a:b. After a transport, the path ends at
// the first colon, except after dir:. A REF is NAME[:TAG], NAME@DIGEST or @DIGEST. The archive "-"
// is standard input.
func ParseSource(s string) (image.Location, error) {
	src, err := sources.parse(s)
	if err != nil {
		return src, err
	}
	if src.IsStdout() {
		src.Path = "/dev/stdin"
	}
	if _, d, ok := strings.Cut(src.Ref, "@"); ok && (src.Syntax == image.PathRef || src.Network) { // manifest digest
		if err := digest.Digest(d).Validate(); err != nil {
			return image.Location{}, fmt.Errorf("source %q has the digest %q: %w", s, d, err)
		}
	}
	if src.Syntax == image.RefOnly {
		err = sources.checkRef(s, src)
	}
	return src, err
}

// ParseDestination parses the name of a destination. A name without a transport is the path of an
// OCI archive. The archive "-" is standard output.
func ParseDestination(s string) (image.Location, error) {
	to, err := destinations.parse(s)
	if err == nil && to.Ref != "" {
		err = destinations.checkRef(s, to)
	}
	if err == nil && to.CheckName != nil {
		if err = to.CheckName(to.Ref); err != nil {
			err = fmt.Errorf("destination %q: %w", s, err)
		}
	}
	return to, err
}

func (side side) checkRef(s string, src image.Location) error {
	if err := src.CheckRef(src.Ref); err != nil {
		return fmt.Errorf("%s %q: %w", side.name, s, err)
	}
	return nil
}

var transportForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

func (side side) parse(s string) (image.Location, error) {
	switch {
	case s == "":
		return image.Location{}, fmt.Errorf("%s is empty: %s", side.name, side.expected())
	case strings.ContainsRune(s, 0):
		return image.Location{}, fmt.Errorf("%s %q contains a NUL", side.name, s)
	case !transportForm.MatchString(s):
		return image.Location{Transport: side.plain, Path: s}, nil
	}
	for _, t := range All {
		if rest, ok := strings.CutPrefix(s, t.Prefix); ok && side.takes(t) {
			src, err := parseRest(t, rest)
			if err != nil {
				return src, fmt.Errorf("%s %q %w: %s", side.name, s, err, side.expected())
			}
			return src, nil
		}
	}
	return image.Location{}, side.unknown(s)
}

// parseRest parses the part after a prefix.
func parseRest(t *image.Transport, rest string) (image.Location, error) {
	path, ref, named := rest, "", false
	switch t.Syntax {
	case image.RefOnly:
		path, ref, named = "", rest, true
	case image.PathRef:
		path, ref, named = strings.Cut(rest, ":")
	}
	switch {
	case path == "" && t.Syntax != image.RefOnly:
		return image.Location{}, errors.New("has no path")
	case named && ref == "":
		return image.Location{}, errors.New("has no name after the colon")
	}
	return image.Location{Transport: t, Path: path, Ref: ref}, nil
}

// expected lists the valid forms of names.
func (side side) expected() string {
	return "expected " + strings.Join(Forms(side.takes), ", ") + side.ways
}

// unknown returns the error for a name with an unknown transport, with a suggestion.
func (side side) unknown(s string) error {
	name, rest, _ := strings.Cut(s, ":")
	hint := ""
	switch own := byName(name); {
	case own != nil && side.takes(own): // a prefix without its slashes, like docker:
		hint = fmt.Sprintf("; %s%s is an image in a registry", own.Prefix, rest)
	case side.instead[name] != "":
		hint = fmt.Sprintf(side.instead[name], rest)
	case !HasTransport(s) && !strings.HasPrefix(rest, "//"):
		hint = fmt.Sprintf("; ./%s is the %s with this name", s, side.file)
	}
	return fmt.Errorf("unknown transport %q in %s %q: %s%s", name, side.name, s, side.expected(), hint)
}

// byName returns the transport whose prefix is a name and a colon, or nil if no transport matches.
func byName(name string) *image.Transport {
	i := slices.IndexFunc(All, func(t *image.Transport) bool { return strings.HasPrefix(t.Prefix, name+":") })
	if i < 0 {
		return nil
	}
	return All[i]
}

// HasTransport reports whether a name begins with a transport of chunkah or of another tool.
func HasTransport(s string) bool {
	name, _, found := strings.Cut(s, ":")
	return found && (slices.Contains(foreign, name) || byName(name) != nil)
}
