package oci

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Kind is a kind of destination.
type Kind int

// The kinds of destination.
const (
	KindArchive Kind = iota // a tar of a layout, at Path
	KindStdout              // the same on standard output
	KindLayout              // a layout folder at Path
)

// Target is a destination as a user names it.
type Target struct {
	Kind Kind
	Path string
	Ref  string // the image's name in the destination's index, or empty
}

// transports are names that tools of the field give to places for images.
var transports = []string{
	"atomic", "containers-storage", "dir", "docker", "docker-archive", "docker-daemon", "oci", "oci-archive", "ostree",
	"registry", "sif", "tarball",
}

var transportForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

const wantTargets = "want oci-archive:PATH[:REF], oci:PATH[:REF], a plain PATH, or - for standard output"

// ParseDestination reads where an image is to go: oci-archive:PATH[:REF], oci:PATH[:REF], or a plain PATH for an archive;
// "-" in place of an archive's path is standard output. After a transport the path ends at the first colon. A plain path
// may hold colons if a slash comes before the first, as in ./a:b.
func ParseDestination(s string) (Target, error) {
	if s == "" {
		return Target{}, fmt.Errorf("destination is empty: %s", wantTargets)
	}
	if !transportForm.MatchString(s) {
		return archiveTarget(s, s, "")
	}
	transport, rest, _ := strings.Cut(s, ":")
	if transport != "oci" && transport != "oci-archive" {
		hint := ""
		if !slices.Contains(transports, transport) && !strings.HasPrefix(rest, "//") {
			hint = fmt.Sprintf("; ./%s is the file of that name", s)
		}
		return Target{}, fmt.Errorf("unknown transport %q in destination %q: %s%s", transport, s, wantTargets, hint)
	}
	path, ref, named := strings.Cut(rest, ":")
	if path == "" {
		return Target{}, fmt.Errorf("destination %q has no path: %s", s, wantTargets)
	}
	if named {
		if err := checkRefName(ref); err != nil {
			return Target{}, fmt.Errorf("destination %q: %w", s, err)
		}
	}
	if transport == "oci-archive" {
		return archiveTarget(s, path, ref)
	}
	return Target{Kind: KindLayout, Path: path, Ref: ref}, nil
}

func archiveTarget(s, path, ref string) (Target, error) {
	switch {
	case strings.ContainsRune(s, 0):
		return Target{}, fmt.Errorf("destination %q holds a NUL", s)
	case path == "-":
		return Target{Kind: KindStdout, Ref: ref}, nil
	}
	return Target{Kind: KindArchive, Path: path, Ref: ref}, nil
}
