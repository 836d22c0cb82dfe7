package oci

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// Kind is a kind of destination.
type Kind int

// The kinds of destination.
const (
	KindArchive       Kind = iota // a tar of a layout
	KindDockerArchive             // the same for docker load
	KindLayout                    // a layout folder
	KindRegistry                  // a repository of a registry
)

// Target is a destination as a user names it.
type Target struct {
	Kind   Kind
	Stdout bool   // an archive goes to standard output
	Path   string // of an archive or a layout; empty for the others
	Ref    string // the image's name: in the destination's index, or empty; of a registry, all behind docker://
}

// transports are names that tools of the field give to places for images.
var transports = []string{
	"atomic", "containers-storage", "dir", "docker", "docker-archive", "docker-daemon", "oci", "oci-archive", "ostree",
	"registry", "sif", "tarball",
}

var transportForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

const wantTargets = "want oci-archive:PATH[:REF], docker-archive:PATH[:REF], oci:PATH[:REF], docker://REF, a plain PATH, or - for standard output"

// insteadOf says what does the work of a transport that is no destination here.
var insteadOf = map[string]string{
	"containers-storage": "; for podman's storage use -o - | podman load",
	"docker-daemon":      "; for a Docker daemon use -o docker-archive:- | docker load",
}

// ParseDestination reads where an image is to go: oci-archive:PATH[:REF], docker-archive:PATH[:REF], oci:PATH[:REF],
// docker://REF, or a plain PATH for an OCI archive; "-" in place of an archive's path is standard output. After a
// transport the path ends at the first colon. A plain path may hold colons if a slash comes before the first, as in ./a:b.
func ParseDestination(s string) (Target, error) {
	switch {
	case s == "":
		return Target{}, fmt.Errorf("destination is empty: %s", wantTargets)
	case strings.ContainsRune(s, 0):
		return Target{}, fmt.Errorf("destination %q holds a NUL", s)
	case !transportForm.MatchString(s):
		return archiveTarget(KindArchive, s, ""), nil
	}
	transport, rest, _ := strings.Cut(s, ":")
	if transport == "docker" {
		return registryTarget(s, rest)
	}
	kind, ok := map[string]Kind{"oci-archive": KindArchive, "docker-archive": KindDockerArchive, "oci": KindLayout}[transport]
	if !ok {
		hint := insteadOf[transport]
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
		check := checkRefName
		if kind == KindDockerArchive {
			check = CheckTag
		}
		if err := check(ref); err != nil {
			return Target{}, fmt.Errorf("destination %q: %w", s, err)
		}
	}
	if kind == KindLayout {
		return Target{Kind: kind, Path: path, Ref: ref}, nil
	}
	return archiveTarget(kind, path, ref), nil
}

func archiveTarget(kind Kind, path, ref string) Target {
	if path == "-" {
		return Target{Kind: kind, Stdout: true, Ref: ref}
	}
	return Target{Kind: kind, Path: path, Ref: ref}
}

// Left returns the paths of what killed runs have left where the target's files are unfinished.
func (t Target) Left() ([]string, error) {
	if t.Path == "" {
		return nil, nil
	}
	path, opened, err := regular.Resolve(t.Path)
	if err != nil || opened {
		return nil, err
	}
	path = filepath.Clean(path)
	dirs := []string{filepath.Dir(path)}
	if t.Kind == KindLayout {
		dirs = append(dirs, path, filepath.Join(path, blobsDir))
	}
	var left []string
	for _, dir := range dirs {
		paths, err := temp.Left(dir)
		if err != nil {
			return left, err
		}
		left = append(left, paths...)
	}
	return left, nil
}

// registryTarget takes what stands behind docker: as it is: what names a repository is the registry client's to know.
func registryTarget(s, rest string) (Target, error) {
	ref, ok := strings.CutPrefix(rest, "//")
	if !ok || ref == "" {
		return Target{}, fmt.Errorf("destination %q names no repository: want docker://registry.example/NAME[:TAG]", s)
	}
	return Target{Kind: KindRegistry, Ref: ref}, nil
}
