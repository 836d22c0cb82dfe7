package image

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Kind is a kind of place that a file system is taken from.
type Kind int

// The kinds of source.
const (
	KindDir           Kind = iota // a directory at Path
	KindLayout                    // an OCI layout folder at Path
	KindArchive                   // a tar of a layout, at Path
	KindDockerArchive             // what docker save writes, at Path
	KindRegistry                  // Ref in a registry
)

var transports = map[Kind]string{
	KindDir: "dir:", KindLayout: "oci:", KindArchive: "oci-archive:", KindDockerArchive: "docker-archive:", KindRegistry: "docker://",
}

// Source is a source as a user names it.
type Source struct {
	Kind Kind
	Path string
	// Ref is an image's name, @DIGEST, or both; empty for the only image there is.
	Ref string
}

// foreign are transports of other tools, which name no file here.
var foreign = []string{
	"atomic", "containers-storage", "docker", "docker-daemon", "ostree", "registry", "sif", "tarball",
}

var transportForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

const wantSources = "want dir:PATH, oci:PATH[:REF], oci-archive:PATH[:REF], docker-archive:PATH[:REF], docker://REF, or the plain PATH of a directory"

// ParseSource reads where a file system is to come from: dir:PATH or a plain PATH
// for a directory, oci:PATH[:REF], oci-archive:PATH[:REF], docker-archive:PATH[:REF],
// docker://REF. After a transport of images the path ends at the first colon. A
// plain path may hold colons if a slash comes before the first, as in ./a:b. A REF
// is NAME[:TAG], NAME@DIGEST or @DIGEST. The archive "-" is standard input.
func ParseSource(s string) (Source, error) {
	switch {
	case s == "":
		return Source{}, fmt.Errorf("source is empty: %s", wantSources)
	case strings.ContainsRune(s, 0):
		return Source{}, fmt.Errorf("source %q holds a NUL", s)
	case !transportForm.MatchString(s):
		return Source{Kind: KindDir, Path: s}, nil
	}
	for kind, transport := range transports {
		if rest, ok := strings.CutPrefix(s, transport); ok {
			return parseRest(s, kind, rest)
		}
	}
	transport, rest, _ := strings.Cut(s, ":")
	hint := ""
	switch {
	case transport == "docker":
		hint = fmt.Sprintf("; docker://%s is an image in a registry", rest)
	case !slices.Contains(foreign, transport) && !strings.HasPrefix(rest, "//"):
		hint = fmt.Sprintf("; ./%s is the directory of that name", s)
	}
	return Source{}, fmt.Errorf("unknown transport %q in source %q: %s%s", transport, s, wantSources, hint)
}

// HasTransport reports whether a name begins with a transport, of chunkah or of another
// tool.
func HasTransport(s string) bool {
	name, _, found := strings.Cut(s, ":")
	if slices.Contains(foreign, name) {
		return found
	}
	for _, transport := range transports {
		if strings.HasPrefix(s, transport) {
			return true
		}
	}
	return false
}

func parseRest(s string, kind Kind, rest string) (Source, error) {
	src := Source{Kind: kind, Path: rest}
	named := false
	switch kind {
	case KindRegistry:
		src.Path, src.Ref, named = "", rest, true
	case KindDir:
	default:
		src.Path, src.Ref, named = strings.Cut(rest, ":")
	}
	if src.Path == "-" && (kind == KindArchive || kind == KindDockerArchive) {
		src.Path = "/dev/stdin"
	}
	if src.Path == "" && kind != KindRegistry {
		return Source{}, fmt.Errorf("source %q has no path: %s", s, wantSources)
	}
	if named && src.Ref == "" {
		return Source{}, fmt.Errorf("source %q ends where a name is to come: %s", s, wantSources)
	}
	if _, d, ok := strings.Cut(src.Ref, "@"); ok {
		if err := digest.Digest(d).Validate(); err != nil {
			return Source{}, fmt.Errorf("source %q has the digest %q: %w", s, d, err)
		}
	}
	return src, nil
}

// String is what ParseSource reads as this source.
func (s Source) String() string {
	transport := transports[s.Kind]
	switch {
	case s.Kind == KindRegistry:
		return transport + s.Ref
	case s.Ref == "":
		return transport + s.Path
	}
	return transport + s.Path + ":" + s.Ref
}

// cutDigest splits NAME@DIGEST; either may be empty.
func cutDigest(ref string) (name string, d digest.Digest) {
	name, text, _ := strings.Cut(ref, "@")
	return name, digest.Digest(text)
}

// pinned is the source with a digest in place of whatever chose the image.
func (s Source) pinned(d digest.Digest) Source {
	name := ""
	if s.Kind == KindRegistry {
		name, _ = cutDigest(s.Ref)
		if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
			name = name[:colon]
		}
	}
	s.Ref = name + "@" + d.String()
	return s
}

// InRegistry is the reference of an image that lies in a registry; empty for any other.
func (s Source) InRegistry() string {
	if s.Kind != KindRegistry {
		return ""
	}
	return s.Ref
}
